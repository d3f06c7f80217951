import { CancellationScope } from '@temporalio/workflow'

/** Gives back what a step took. Must tolerate that the step never happened, and be repeated until it succeeds. */
export type Undo = () => Promise<void>

/**
 * Steps that are undone in reverse. An undo is registered before its step runs: a step that timed out may have happened.
 * Undos are shielded from cancellation, and none is swallowed: what an undo throws, `compensate` throws.
 */
export class Saga {
  private readonly undos: Undo[] = []

  async step<T>({ undo, run }: { undo: Undo; run: () => Promise<T> }): Promise<T> {
    this.owe(undo)
    return run()
  }

  /** Registers the undo of what was done before. */
  owe(undo: Undo): void {
    this.undos.push(undo)
  }

  async compensate(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (let undo = this.undos.pop(); undo; undo = this.undos.pop()) await undo()
    })
  }
}
