/** One row of the table. `bar` is empty for what is only printed. */
export interface Figure {
  readonly what: string
  readonly bar: string
  readonly value: number
  readonly good: boolean
  readonly note: string
}
