import type { ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import type {
  IndexChanges,
  SearchDocument,
  SearchQuery,
  SearchResult,
  SearchRules,
  Suggestion,
} from '../../domain/search'

/** What a rebuild was filling is not there any more: only the next rebuild helps. */
export class IndexBuildLost extends Error {}

/** A document that the engine refused, and why. The others were taken. */
export interface Refused {
  readonly id: ProductId
  readonly reason: string
}

export interface SuggestRequest {
  /** As it was typed; its last word may be a beginning. */
  readonly text: string
  readonly currency: Currency
  readonly limit: number
}

/**
 * What finds products. Postgres is the truth: an engine may be lost or rebuilt at any moment. Every call has a deadline
 * and throws when the engine cannot be asked.
 */
export interface SearchEngine {
  readonly name: string

  /** Nothing in the query means anything to the engine but words and values. */
  search(query: SearchQuery): Promise<SearchResult>

  /** Autocompletion, from the first letter on. */
  suggest(request: SuggestRequest): Promise<readonly Suggestion[]>

  /**
   * Writes and removes documents; the caller sees to it that nobody else does so for the same products meanwhile.
   * `build` is the rebuild under way: what it fills gets them too. May be repeated.
   */
  index(changes: IndexChanges, build: string | null): Promise<readonly Refused[]>

  /** Prepares what is filled instead of what is searched. `build` names it; repeated, it goes on. */
  beginRebuild(build: string): Promise<void>

  /** Adds documents that live changes have not brought already: those are newer, and stay. Throws {@link IndexBuildLost}. */
  fill(build: string, documents: readonly SearchDocument[]): Promise<readonly Refused[]>

  /** From one moment to the next, what was filled is what is searched. Repeated, it does nothing. Throws {@link IndexBuildLost}. */
  swap(build: string): Promise<void>

  /** Forgets a rebuild that was given up. */
  abandon(build: string): Promise<void>

  /** Searches go by these rules from now on. */
  applyRules(rules: SearchRules): Promise<void>

  /** Throws unless it can be asked; false: it answers and has nothing to search in, a rebuild is needed. */
  check(): Promise<boolean>

  close(): Promise<void>
}
