/** A change of a workflow's code that runs from before it must not follow. */
interface Patch {
  /** The day on which the change was released, as YYYY-MM-DD. */
  readonly since: string
  /** What differs, in a line. */
  readonly change: string
}

/**
 * All but checkouts go on with the build that is current, whichever began them, and a checkout does so when it is moved
 * (`moveToCurrent`). So each change of what a workflow does, in which order, is a patch, in checkouts too.
 *
 * Every patch by its id, `<workflow>-<what changes>`. An id must not be used twice.
 * Where the code differs a workflow asks `patched(id)` of `@temporalio/workflow` and keeps the old branch. Once no run from
 * before is open, the old branch goes and `deprecatePatch(id)` stands in its place for one release; then the line here goes
 * too. There is none yet: nothing has been released.
 */
export const PATCHES = {} satisfies Record<string, Patch>
