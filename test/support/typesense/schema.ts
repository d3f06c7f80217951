import { Refusal } from './refusal'

/** The schema of a collection and its documents, checked as Typesense 30 documents it. */

export interface Field {
  readonly name: string
  readonly type: string
  readonly facet: boolean
  readonly optional: boolean
  readonly index: boolean
  readonly sort: boolean
  readonly stem: boolean
}

export type Document = Readonly<Record<string, unknown>> & { readonly id: string }

export interface Collection {
  readonly name: string
  readonly fields: readonly Field[]
  readonly separators: ReadonlySet<string>
  readonly defaultSortingField: string
  synonymSets: readonly string[]
  curationSets: readonly string[]
  readonly documents: Map<string, Document>
  readonly createdAt: number
}

const TYPES = new Set([
  'string',
  'int32',
  'int64',
  'float',
  'bool',
  'string[]',
  'int32[]',
  'int64[]',
  'float[]',
  'bool[]',
])
const FIELD_KEYS = new Set([
  'name',
  'type',
  'facet',
  'optional',
  'index',
  'sort',
  'stem',
  'infix',
  'locale',
  'store',
  'range_index',
])
const COLLECTION_KEYS = new Set([
  'name',
  'fields',
  'token_separators',
  'symbols_to_index',
  'default_sorting_field',
  'enable_nested_fields',
  'metadata',
  'synonym_sets',
  'curation_sets',
])

export function readCollection(body: unknown): Collection {
  const given = objectOf(body)
  refuseUnknown(given, COLLECTION_KEYS, 'a collection')
  if (typeof given['name'] !== 'string' || given['name'] === '') throw new Refusal(400, 'Parameter `name` is required.')
  if (!Array.isArray(given['fields']) || given['fields'].length === 0) {
    throw new Refusal(
      400,
      'The `fields` value should be an array of objects containing `name`, `type` and optionally, `facet` properties.',
    )
  }
  const fields = given['fields'].map(readField)
  for (const { name } of fields) {
    if (fields.filter((other) => other.name === name).length > 1)
      throw new Refusal(400, `There are duplicate field names in the schema.`)
  }
  const separators = given['token_separators'] ?? []
  if (!Array.isArray(separators) || separators.some((one) => typeof one !== 'string' || one.length !== 1)) {
    throw new Refusal(400, '`token_separators` should be an array of character symbols.')
  }
  const defaultSortingField = String(given['default_sorting_field'] ?? '')
  if (defaultSortingField !== '') {
    const field = fields.find(({ name }) => name === defaultSortingField)
    if (!field)
      throw new Refusal(
        400,
        `Default sorting field is defined as \`${defaultSortingField}\` but is not found in the schema.`,
      )
    if (!/^(?:int32|int64|float)$/.test(field.type)) {
      throw new Refusal(400, `Default sorting field \`${defaultSortingField}\` is not a sortable type.`)
    }
    if (field.optional)
      throw new Refusal(400, `Default sorting field \`${defaultSortingField}\` cannot be an optional field.`)
  }
  return {
    name: given['name'],
    fields,
    separators: new Set(separators as string[]),
    defaultSortingField,
    synonymSets: readNames(given, 'synonym_sets'),
    curationSets: readNames(given, 'curation_sets'),
    documents: new Map(),
    createdAt: Math.floor(Date.now() / 1_000),
  }
}

export function readNames(given: Readonly<Record<string, unknown>>, key: string): string[] {
  const names = given[key] ?? []
  if (!Array.isArray(names) || names.some((name) => typeof name !== 'string')) {
    throw new Refusal(400, `\`${key}\` should be an array of strings.`)
  }
  return names as string[]
}

function readField(body: unknown): Field {
  const given = objectOf(body)
  refuseUnknown(given, FIELD_KEYS, 'a field')
  const { name, type } = given
  if (typeof name !== 'string' || typeof type !== 'string') {
    throw new Refusal(
      400,
      'Wrong format for `fields`. It should be an array of objects containing `name`, `type`, `optional` and `facet` properties.',
    )
  }
  if (!TYPES.has(type))
    throw new Refusal(400, `Field \`${name}\` has an invalid data type \`${type}\`, see docs for supported data types.`)
  for (const key of ['facet', 'optional', 'index', 'sort', 'stem']) {
    if (given[key] !== undefined && typeof given[key] !== 'boolean') {
      throw new Refusal(400, `The \`${key}\` property of the field \`${name}\` should be a boolean.`)
    }
  }
  const index = given['index'] !== false
  if (!index && given['optional'] !== true)
    throw new Refusal(400, `Field \`${name}\` must be optional since it is marked as non-indexable.`)
  if (!index && given['facet'] === true)
    throw new Refusal(400, `Field \`${name}\` cannot be a facet since it's marked as non-indexable.`)
  if (given['stem'] === true && !type.startsWith('string'))
    throw new Refusal(400, 'The `stem` property is only allowed for string and string[] fields.')
  return {
    name,
    type,
    facet: given['facet'] === true,
    optional: given['optional'] === true,
    index,
    sort: (given['sort'] as boolean | undefined) ?? /^(?:int32|int64|float|bool)$/.test(type),
    stem: given['stem'] === true,
  }
}

export function isPattern({ name }: Field): boolean {
  return name.includes('.*')
}

/** Fields by name; a pattern's only once a document has brought one. */
export function findField(collection: Collection, name: string): Field | undefined {
  const exact = collection.fields.find((field) => field.name === name && !isPattern(field))
  if (exact) return exact
  const pattern = collection.fields.find((field) => isPattern(field) && new RegExp(`^${field.name}$`).test(name))
  if (!pattern || ![...collection.documents.values()].some((document) => name in document)) return undefined
  return { ...pattern, name }
}

/** The document as it is stored; throws what the import's line says. */
export function readDocument(collection: Collection, body: unknown): Document {
  const given = objectOf(body, 'Bad JSON: not a properly formed document.')
  if (given['id'] !== undefined && typeof given['id'] !== 'string')
    throw new Refusal(400, "Document's `id` field should be a string.")
  if (given['id'] === '') throw new Refusal(400, "Document's `id` should not be empty.")
  for (const field of collection.fields.filter((one) => one.index && !isPattern(one))) {
    const value = given[field.name]
    if (value === undefined || value === null) {
      if (field.optional) continue
      throw new Refusal(
        400,
        `Field \`${field.name}\` has been declared in the schema, but is not found in the document.`,
      )
    }
    checkValue(field, value)
  }
  for (const [name, value] of Object.entries(given)) {
    const field = collection.fields.find((one) => isPattern(one) && new RegExp(`^${one.name}$`).test(name))
    if (field) checkValue({ ...field, name }, value)
  }
  return { ...given, id: (given['id'] as string | undefined) ?? String(collection.documents.size) }
}

function checkValue({ name, type }: Field, value: unknown): void {
  const plain = type.replace('[]', '')
  if (type.endsWith('[]')) {
    if (Array.isArray(value) && value.every((one) => isOf(plain, one))) return
    throw new Refusal(400, `Field \`${name}\` must be an array of ${plain}.`)
  }
  if (!isOf(plain, value))
    throw new Refusal(400, `Field \`${name}\` must be ${/^[aeiou]/.test(plain) ? 'an' : 'a'} ${plain}.`)
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string'
    case 'bool':
      return typeof value === 'boolean'
    case 'int32':
      return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31
    case 'int64':
      return Number.isSafeInteger(value)
    default:
      return typeof value === 'number' && Number.isFinite(value)
  }
}

export function describeCollection(collection: Collection): Record<string, unknown> {
  return {
    name: collection.name,
    created_at: collection.createdAt,
    num_documents: collection.documents.size,
    default_sorting_field: collection.defaultSortingField,
    enable_nested_fields: false,
    symbols_to_index: [],
    token_separators: [...collection.separators],
    fields: collection.fields,
    synonym_sets: collection.synonymSets,
    curation_sets: collection.curationSets,
  }
}

export function objectOf(value: unknown, message = 'Bad JSON.'): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Refusal(400, message)
}

/** Stricter than the server, which ignores some of what it does not know: a misspelt name must not pass here. */
export function refuseUnknown(
  given: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
  what: string,
): void {
  const unknown = Object.keys(given).find((key) => !known.has(key))
  if (unknown !== undefined) throw new Refusal(400, `Unknown parameter \`${unknown}\` of ${what}.`)
}
