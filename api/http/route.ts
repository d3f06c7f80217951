import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { ApiDeps } from '../deps'
import type { Role } from '../../db/platform/api-key'
import type { IdempotencyScope } from '../../db/platform/idempotency'
import type { DomainError, ErrorCode } from '../../domain/errors'
import type { ApiKeyId } from '../../domain/ids'
import type { Log } from '../../log'

/** What an admin key may be allowed to touch; `api/http/auth.ts` says what each role may. */
export type Area = 'catalog' | 'inventory' | 'orders' | 'support' | 'settings' | 'keys'
export type Access = 'read' | 'write'

/** Who may call: anybody, the holder of a cart token, or an admin key whose role allows it. */
export type CallerRule = 'anyone' | 'cart' | { readonly admin: Area; readonly access: Access }

export interface Anyone {
  readonly kind: 'anyone'
}
/** Somebody with a cart token. Which cart it opens is for the statement's `where token_hash = $n` to say. */
export interface CartCaller {
  readonly kind: 'cart'
  /** SHA-256 of the token. */
  readonly tokenHash: Buffer
}
export interface AdminCaller {
  readonly kind: 'admin'
  readonly keyId: ApiKeyId
  readonly role: Role
}
export type Caller = Anyone | CartCaller | AdminCaller
export type CallerOf<R extends CallerRule> = R extends 'anyone' ? Anyone : R extends 'cart' ? CartCaller : AdminCaller

/** A body that is not JSON: whole (up to 1 MiB) or as it comes in. */
export interface RawBody<Kind extends 'whole' | 'stream' = 'whole' | 'stream'> {
  readonly raw: Kind
  /** One, or any of several. */
  readonly mediaType: string | readonly string[]
}
export type BodySpec = z.ZodType | RawBody

/** An answer that is not JSON, such as `text/event-stream`: the handler's `send` writes it. */
export interface MediaAnswer {
  readonly mediaType: string
}

/** Per status: the schema of the body, the problem codes that may come with it, another medium, or null for no body. */
export type AnswerSpec = z.ZodType | readonly ErrorCode[] | MediaAnswer | null
export type Answers = Readonly<Record<number, AnswerSpec>>

type Headers = Readonly<Record<string, string>>

/** A refusal that needs headers of its own; without any, throw the DomainError. */
export interface ProblemAnswer {
  readonly problem: DomainError
  readonly headers?: Headers
}

/** `json` is a body already written out, as caches keep it. */
export type AnswerOf<A extends Answers> =
  | ProblemAnswer
  | {
      [S in keyof A & number]: A[S] extends z.ZodType
        ?
            | { readonly status: S; readonly body: z.input<A[S]>; readonly headers?: Headers }
            | { readonly status: S; readonly json: string; readonly headers?: Headers }
        : A[S] extends MediaAnswer
          ? {
              readonly status: S
              readonly headers?: Headers
              readonly send: (response: ServerResponse) => void | Promise<void>
            }
          : A[S] extends null
            ? { readonly status: S; readonly headers?: Headers }
            : never
    }[keyof A & number]

export interface Input<P, Q, B, C> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly caller: C
  readonly headers: IncomingHttpHeaders
  readonly requestId: string
  /** As it was sent: path and query. */
  readonly url: string
  /** For `withIdempotency`. Null when the caller sent no key (only where keys are optional). */
  readonly idempotency: IdempotencyScope | null
  /** Logs with the request's id. Ids and codes only: no personal data, no secrets. */
  readonly log: Log
}

type Parsed<S> =
  S extends RawBody<'whole'>
    ? Buffer
    : S extends RawBody<'stream'>
      ? Readable
      : S extends z.ZodType
        ? z.output<S>
        : undefined

/**
 * A call that the document shows: this body, with the examples of the parameters. Of ids it shows a stand-in. The tests
 * make every one of them and compare the status.
 */
export interface RouteExample {
  readonly answer: number
  readonly body?: unknown
}

interface RouteSpec<P, Q, B, C extends CallerRule, A extends Answers> {
  readonly method: Method
  /** As OpenAPI writes it: `/v1/store/carts/{id}`. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly caller: C
  /** A path that does not fit is answered 404: there can be no such thing. */
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** Of POSTs; they take a key unless it says 'none' (webhooks, look-ups). */
  readonly idempotency?: 'required' | 'optional' | 'none'
  /** The codes that any route of this kind may answer (400, 401, 403, 404, 405, 413, 415, 429, 503) go without saying. */
  readonly answers: A
  readonly example?: RouteExample
}

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** A route with its types forgotten: what the app mounts and the OpenAPI document is written from. */
export interface Route {
  readonly method: Method
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly caller: CallerRule
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: BodySpec
  readonly idempotency: 'required' | 'optional' | 'none'
  readonly answers: Answers
  readonly example?: RouteExample
  readonly handle: (input: Input<unknown, unknown, unknown, Caller>, deps: ApiDeps) => Promise<RouteAnswer>
}

export type RouteAnswer =
  | ProblemAnswer
  | {
      readonly status: number
      readonly body?: unknown
      readonly json?: string
      readonly headers?: Headers
      readonly send?: (response: ServerResponse) => void | Promise<void>
    }

type Handler<P, Q, B, C extends CallerRule, A extends Answers> = (
  input: Input<Parsed<P>, Parsed<Q>, Parsed<B>, CallerOf<C>>,
  deps: ApiDeps,
) => Promise<AnswerOf<A>>

/**
 * Declares one route: schemas, who may call, what it answers; then `.handle(…)` with the handler. (Two calls, because
 * TypeScript checks the answer's literals only once the types of the first are settled.) Expected refusals are thrown as
 * DomainErrors; `api/http/problem.ts` turns them into problem documents.
 */
export function defineRoute<
  const C extends CallerRule,
  const A extends Answers,
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends BodySpec | undefined = undefined,
>(spec: RouteSpec<P, Q, B, C, A>): { handle(handler: Handler<P, Q, B, C, A>): Route } {
  return {
    handle: (handler) =>
      ({ idempotency: spec.method === 'post' ? 'optional' : 'none', ...spec, handle: handler }) as unknown as Route,
  }
}

export function isRawBody(spec: BodySpec): spec is RawBody {
  return 'raw' in spec
}

export function isMediaAnswer(spec: AnswerSpec): spec is MediaAnswer {
  return spec !== null && 'mediaType' in spec
}

export function isCodes(spec: AnswerSpec): spec is readonly ErrorCode[] {
  return Array.isArray(spec)
}
