import type { SupervisedTask } from './intervention'

/** What the rows ask for: of which kind, and about what. */
interface RowTask {
  readonly kind: string
  readonly object: string
}

/** What goes on beside the rest. */
export interface AtWork<T extends RowTask> extends SupervisedTask {
  readonly task: T
  /** The rows do not ask for it any more: something else has brought it on. */
  isGone: boolean
}

/**
 * What does not come right at once goes on beside the rest: it is tried without end, or waits for a person, and holds up nothing
 * else. Whatever ends makes the workflow read its rows again.
 */
export class SideWork<T extends RowTask> {
  private readonly atWork: AtWork<T>[] = []
  private readonly isSame: (one: T, other: T) => boolean
  private readonly onEnd: (atWork: AtWork<T>) => void
  private failure: { readonly error: unknown } | null = null

  constructor(isSame: (one: T, other: T) => boolean, onEnd: (atWork: AtWork<T>) => void) {
    this.isSame = isSame
    this.onEnd = onEnd
  }

  get isEmpty(): boolean {
    return this.atWork.length === 0
  }

  /**
   * All of it merely waits: another run takes that up from the rows. It would know nothing of what a person decided, or of a
   * case to be closed.
   */
  get isAtRest(): boolean {
    return this.atWork.every(({ isGone, isEnding }) => !isGone && !isEnding)
  }

  get hasFailed(): boolean {
    return this.failure !== null
  }

  /** Throws what something beside has thrown. */
  throwFailure(): void {
    if (this.failure) throw this.failure.error
  }

  put<Task extends T>(task: Task, run: (atWork: AtWork<Task>) => Promise<void>): void {
    const atWork: AtWork<Task> = { task, isGone: false, isEnding: false }
    this.atWork.push(atWork)
    void run(atWork)
      .catch((error: unknown) => {
        this.failure = { error }
      })
      .finally(() => {
        this.atWork.splice(this.atWork.indexOf(atWork), 1)
        this.onEnd(atWork)
      })
  }

  find(task: T): AtWork<T> | undefined {
    return this.atWork.find((each) => this.isSame(task, each.task))
  }

  /** What the rows do not ask for any more need not go on; `isKept` does all the same. */
  keepOnly(asked: readonly T[], isKept: (task: T) => boolean = () => false): void {
    for (const each of this.atWork)
      if (!isKept(each.task)) each.isGone ||= !asked.some((task) => this.isSame(task, each.task))
  }
}
