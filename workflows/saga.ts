import { CancellationScope } from '@temporalio/workflow'

/**
 * A step of a saga: what it does, and what undoes it. An undo tolerates that its step never happened, and may run again. It
 * ends when the effect is gone, when a person has decided, or when it has handed the effect on to somebody who ends it:
 * `cancelAttempt` leaves a charge to `returnLateMoney` once patience has run out. Null: nothing has to be undone.
 */
export interface Step<Context, Input, Result> {
  readonly do: (context: Context, input: Input) => Promise<Result>
  readonly undo: ((context: Context, input: Input) => Promise<void>) | null
}

/** The steps of a saga by name, in the order in which they first run. */
export type Steps<Context> = Readonly<Record<string, Step<Context, never, unknown>>>

export type InputOf<S> = S extends Step<never, infer Input, unknown> ? Input : never
export type ResultOf<S> = S extends { readonly do: (...args: never) => Promise<infer Result> } ? Result : never

/**
 * Runs the steps of a table, and undoes in reverse what was run. An undo is registered before its step runs: a step that
 * timed out may have happened. Undos are shielded from cancellation, and none is swallowed: what an undo throws,
 * `compensate` throws.
 */
export class Saga<Context, Table extends Steps<Context>> {
  private readonly steps: Table
  private readonly context: Context
  private readonly undos: { readonly name: keyof Table; readonly input: unknown; readonly run: () => Promise<void> }[] =
    []

  constructor(steps: Table, context: Context) {
    this.steps = steps
    this.context = context
  }

  async run<Name extends keyof Table>(name: Name, input: InputOf<Table[Name]>): Promise<ResultOf<Table[Name]>> {
    this.registerUndo(name, input)
    return this.step(name).do(this.context, input)
  }

  /** Registers the undo of a step that an earlier run may have done; once for one input. */
  registerUndo<Name extends keyof Table>(name: Name, input: InputOf<Table[Name]>): void {
    const { undo } = this.step(name)
    if (undo === null || this.undos.some((known) => known.name === name && known.input === input)) return
    this.undos.push({ name, input, run: () => undo(this.context, input) })
  }

  /** Undoes what was run, the last first. */
  async compensate(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (let undo = this.undos.pop(); undo; undo = this.undos.pop()) await undo.run()
    })
  }

  private step<Name extends keyof Table>(name: Name): Step<Context, InputOf<Table[Name]>, ResultOf<Table[Name]>> {
    return this.steps[name] as Step<Context, InputOf<Table[Name]>, ResultOf<Table[Name]>>
  }
}
