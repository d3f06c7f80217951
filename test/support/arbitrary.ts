import fc, { type Arbitrary } from 'fast-check'

/** JSON Schema, as far as the OpenAPI document uses it. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly example?: unknown
}

type Resolve = (ref: string) => Schema

/** Values that fit the schema. */
export function fitting(schema: Schema, resolve: Resolve): Arbitrary<unknown> {
  if (schema.$ref) return fitting(resolve(schema.$ref), resolve)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map((choice) => fitting(choice, resolve)))
  const types = schema.type === undefined ? [] : [schema.type].flat()
  if (types.length > 1) return fc.oneof(...types.map((type) => ofType(type, schema, resolve)))
  return types[0] === undefined ? fc.jsonValue({ maxDepth: 2 }) : ofType(types[0], schema, resolve)
}

/** Values that a schema of any kind has seldom thought of: as JSON text can carry them. */
export const hostile: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    0.1,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    1e21,
    1e308,
    -0,
    [],
    {},
    [[]],
    '',
  ),
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud800',
    'x\udfff',
    '\u202e',
    '\u{1f47b}',
    '    ',
    '\n',
    'null',
    '0',
    '-1',
    '1e9',
    'NaN',
    "'; drop table cart; --",
    '${7*7}',
    '../../etc/passwd',
    '%00',
    '__proto__',
    'constructor',
    'İ',
    'ß',
    'ﬀ',
    'x'.repeat(5_000),
    '\u0301'.repeat(300),
    '9999-99-99T99:99:99Z',
    '0000-01-01T00:00:00Z',
  ),
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.integer({ min: 21, max: 2_000 }).map(nest),
  fc.constant(Array.from({ length: 2_000 }, (_, index) => index)),
  fc.constant(Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index]))),
)

/** A fitting value with one thing wrong: a part replaced, left out, added, or repeated many times. */
export function bent(schema: Schema, resolve: Resolve): Arbitrary<unknown> {
  return fc
    .tuple(fitting(schema, resolve), fc.nat(), fc.nat(3), hostile)
    .map(([value, where, how, what]) => bend(value, where, how, what))
}

/** As JSON text, with what `JSON.stringify` cannot say: names that reach the prototype, duplicate members, raw junk. */
export const junk: Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '{',
    '[1,',
    '{"a":1,}',
    'nul',
    '"',
    '"\\u12"',
    '{"__proto__":{"admin":true}}',
    '{"a":1,"a":2}',
    '1e999',
    '-',
    '\ufeff{}',
    '[]x',
    '01',
    "{'a':1}",
  ),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.integer({ min: 1_000, max: 100_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
)

function ofType(type: string, schema: Schema, resolve: Resolve): Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1_000_000, max: Math.min(schema.maximum ?? 1_000_000, 2 ** 53 - 1) })
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true })
    case 'array':
      return arrayOf(schema, resolve)
    case 'object':
      return objectOf(schema, resolve)
    default:
      return text(schema)
  }
}

function text({ pattern, format, minLength = 0, maxLength = 40, example }: Schema): Arbitrary<string> {
  if (format === 'date-time')
    return fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((date) => date.toISOString())
  const free = pattern
    ? fc.stringMatching(new RegExp(pattern)).filter((value) => value.length <= maxLength)
    : fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) })
  return typeof example === 'string'
    ? fc.oneof({ arbitrary: fc.constant(example), weight: 2 }, { arbitrary: free, weight: 1 })
    : free
}

/** Lists in which the same item stands more than once are as likely as others. */
function arrayOf({ items = {}, minItems = 0, maxItems = 5 }: Schema, resolve: Resolve): Arbitrary<unknown[]> {
  const item = fitting(items, resolve)
  const list = fc.array(item, { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, 5)) })
  return fc.oneof(
    list,
    fc
      .tuple(item, fc.integer({ min: Math.max(1, minItems), max: Math.min(maxItems, 30) }))
      .map(([one, count]) => Array(count).fill(one)),
  )
}

function objectOf(schema: Schema, resolve: Resolve): Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema
  const members = Object.fromEntries(
    Object.entries(properties).map(([name, member]) => [name, fitting(member, resolve)]),
  )
  const known = fc.record(members, { requiredKeys: [...required] })
  if (typeof additionalProperties !== 'object' || Object.keys(properties).length > 0) return known
  return fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), fitting(additionalProperties, resolve), {
    maxKeys: 4,
  })
}

function nest(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { a: value }
  return value
}

function bend(value: unknown, where: number, how: number, what: unknown): unknown {
  if (Array.isArray(value) && value.length > 0) {
    if (how === 3) return Array.from({ length: 1_200 }, () => value[0])
    const at = where % value.length
    return value.map((item, index) => (index === at ? bend(item, where >> 3, how, what) : item))
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const names = Object.keys(value)
    if (how === 1 || names.length === 0) return { ...value, extra: what }
    const name = names[where % names.length] as string
    const { [name]: member, ...rest } = value as Record<string, unknown>
    return how === 2 ? rest : { ...rest, [name]: bend(member, where >> 3, how, what) }
  }
  return what
}
