import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi'
import { z } from 'zod'
import { ROLES } from '../../db/platform/api-key'
import { ERROR_CODES, type ErrorCode } from '../../domain/errors'
import { PROBLEM_DOCS } from './problem'
import { allows } from './auth'
import { isCodes, isMediaAnswer, isRawBody, type CallerRule, type Route } from './route'

/** An OpenAPI 3.1 document. */
export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>

/** Writes the document from the very schemas that check the requests. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const registry = new OpenAPIRegistry()
  registry.registerComponent('securitySchemes', 'adminKey', {
    type: 'http',
    scheme: 'bearer',
    description: 'an admin key, hf_…',
  })
  registry.registerComponent('securitySchemes', 'cartToken', { type: 'apiKey', in: 'header', name: 'X-Cart-Token' })
  for (const route of routes) registry.registerPath(pathOf(route))
  const generator = new OpenApiGeneratorV31(registry.definitions)
  return generator.generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version,
      description: 'A headless commerce backend whose business processes are durable code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
  })
}

/** Every status that the route may answer, with the problem codes that may come with it (none for a success). */
export function answersOf(route: Route): Map<number, Set<ErrorCode>> {
  const statuses = new Map<number, Set<ErrorCode>>()
  for (const [status, spec] of Object.entries(route.answers)) {
    statuses.set(Number(status), new Set(isCodes(spec) ? spec : []))
  }
  for (const code of genericCodes(route)) {
    const { status } = ERROR_CODES[code]
    statuses.set(status, (statuses.get(status) ?? new Set<ErrorCode>()).add(code))
  }
  return new Map([...statuses].sort(([a], [b]) => a - b))
}

/** What any route of this kind may answer. 405 is not among them: it is not an answer of this method. */
function genericCodes(route: Route): ErrorCode[] {
  const codes: ErrorCode[] = []
  if (route.caller !== 'anyone') codes.push('unauthenticated')
  if (typeof route.caller === 'object' && isRestricted(route.caller)) codes.push('insufficient_scope')
  if (route.params) codes.push('not_found')
  if (route.query) codes.push('validation_failed')
  if (route.idempotency !== 'none') codes.push('validation_failed')
  if (route.idempotency === 'required') codes.push('idempotency_key_required')
  if (route.body) {
    codes.push('unsupported_media_type')
    if (!isRawBody(route.body)) codes.push('invalid_json', 'validation_failed', 'body_too_large', 'request_timeout')
    else if (route.body.raw === 'whole') codes.push('body_too_large', 'request_timeout')
  }
  if (route.path.startsWith('/v1/')) codes.push('rate_limited')
  if (/^\/(?:v1|webhooks)\//.test(route.path)) codes.push('unavailable')
  return codes
}

/** Some roles may not: otherwise nobody is ever told `insufficient_scope`. */
function isRestricted({ admin, access }: Exclude<CallerRule, string>): boolean {
  return ROLES.some((role) => !allows(role, admin, access))
}

const problem = z
  .looseObject({
    type: z.string().meta({ description: 'where the code is explained', example: `${PROBLEM_DOCS}#out_of_stock` }),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    request_id: z.string(),
    retryable: z.boolean(),
    errors: z
      .array(
        z.strictObject({
          in: z.enum(['body', 'query', 'header']),
          pointer: z.string(),
          code: z.string(),
          message: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. Some codes bring members of their own.' })

function pathOf(route: Route): RouteConfig {
  return {
    method: route.method,
    path: route.path,
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(route.caller === 'anyone'
      ? {}
      : { security: [route.caller === 'cart' ? { cartToken: [] } : { adminKey: [] }] }),
    request: requestOf(route),
    responses: Object.fromEntries(
      [...answersOf(route)].map(([status, codes]) => [status, responseOf(route, status, codes)]),
    ),
    // The status that the call with all examples is answered with.
    ...(route.example ? { 'x-example-answer': route.example.answer } : {}),
  }
}

function requestOf(route: Route): NonNullable<RouteConfig['request']> {
  const { body, example } = route
  const shown = example?.body === undefined ? {} : { example: example.body }
  return {
    ...(route.params ? { params: route.params as z.ZodObject } : {}),
    ...(route.query ? { query: route.query as z.ZodObject } : {}),
    ...(route.idempotency === 'none' ? {} : { headers: idempotencyHeader(route.idempotency === 'required') }),
    ...(body
      ? {
          body: isRawBody(body)
            ? {
                required: true,
                content: Object.fromEntries(
                  [body.mediaType].flat().map((type: string) => [type, { schema: { type: 'string' }, ...shown }]),
                ),
              }
            : { required: !body.safeParse({}).success, content: { 'application/json': { schema: body, ...shown } } },
        }
      : {}),
  }
}

function idempotencyHeader(required: boolean): z.ZodObject {
  const key = z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x21-\x7e]+$/)
  const header = required ? key.meta({ example: 'b1946ac9-2c53-4c1f-9d0f-6c1f1a7c6a31' }) : key.optional()
  return z.object({ 'Idempotency-Key': header })
}

function responseOf(route: Route, status: number, codes: ReadonlySet<ErrorCode>): RouteConfig['responses'][number] {
  const spec = route.answers[status]
  if (codes.size > 0 || spec === undefined || isCodes(spec)) {
    const names = [...codes].sort()
    return {
      description: names.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('. '),
      content: { 'application/problem+json': { schema: problem } },
    }
  }
  if (spec === null) return { description: 'Done' }
  if (isMediaAnswer(spec)) return { description: 'OK', content: { [spec.mediaType]: { schema: { type: 'string' } } } }
  return { description: status === 202 ? 'Under way' : 'OK', content: { 'application/json': { schema: spec } } }
}

/** `get` `/v1/store/carts/{id}` → `getStoreCartsById` */
function operationId(route: Route): string {
  const words = route.path
    .replace(/^\/v1/, '')
    .split(/[/.-]/)
    .filter(Boolean)
    .map((word) => (word.startsWith('{') ? `By${capital(word.slice(1, -1))}` : capital(word)))
  return route.method + words.join('')
}

function capital(word: string): string {
  return word
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
}
