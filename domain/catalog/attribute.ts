export const ATTRIBUTE_TYPES = ['text', 'number', 'boolean', 'enum'] as const
export type AttributeType = (typeof ATTRIBUTE_TYPES)[number]

/** What a category can define, and what can stand after `attr.` in a search. */
export const ATTRIBUTE_NAME_PATTERN = /^[a-z][a-z0-9_-]{0,49}$/

/** What a category says of one attribute of its products. */
export interface AttributeDefinition {
  readonly name: string
  readonly label: string
  readonly type: AttributeType
  readonly required: boolean
  /** Offered as a filter by search. */
  readonly filterable: boolean
  /** The values of an enum; empty for the other types. */
  readonly options: readonly string[]
  readonly unit: string | null
}

export type Attributes = Readonly<Record<string, unknown>>

/** A product as far as its attributes go. `index` is the variant's place in the request; null for one that it does not name. */
export interface Described {
  readonly attributes: Attributes
  readonly variants: readonly { readonly sku: string; readonly attributes: Attributes; readonly index: number | null }[]
}

export interface AttributeFault {
  /** JSON pointer into a product. */
  readonly pointer: string
  readonly code: 'attribute_required' | 'attribute_type' | 'attribute_option'
  readonly message: string
}

/** The definitions that hold at the end of a path, given root first: of two with one name the nearer one counts. */
export function inherit(fromRoot: readonly AttributeDefinition[]): AttributeDefinition[] {
  return [...new Map(fromRoot.map((definition) => [definition.name, definition])).values()]
}

/**
 * What does not fit: of a product in several categories every one of their schemas counts. Attributes that none of them
 * defines are free. A required one may stand on the product, or on each of its variants.
 */
export function faultsOf(
  product: Described,
  schemas: readonly (readonly AttributeDefinition[])[],
): readonly AttributeFault[] {
  const faults = new Map<string, AttributeFault>()
  for (const definition of schemas.flat()) {
    for (const fault of faultsIn(product, definition)) {
      if (!faults.has(fault.pointer)) faults.set(fault.pointer, fault)
    }
  }
  return [...faults.values()]
}

function* faultsIn(product: Described, definition: AttributeDefinition): Generator<AttributeFault> {
  const { name, label } = definition
  const own = valueIn(product.attributes, name)
  const pointer = `/attributes/${name}`
  const bare = product.variants.filter(({ attributes }) => valueIn(attributes, name) === undefined)
  if (definition.required && own === undefined && (bare.length > 0 || product.variants.length === 0)) {
    yield { pointer, code: 'attribute_required', message: `${label} is required in this category.` }
  }
  if (own !== undefined) yield* faultOf(own, definition, { pointer, of: '' })
  for (const { sku, attributes, index } of product.variants) {
    const value = valueIn(attributes, name)
    const place =
      index === null ? { pointer, of: ` of the variant ${sku}` } : { pointer: `/variants/${index}${pointer}`, of: '' }
    if (value !== undefined) yield* faultOf(value, definition, place)
  }
}

/** Not what every object has, should somebody define an attribute `constructor`. */
function valueIn(attributes: Attributes, name: string): unknown {
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined
}

function* faultOf(
  value: unknown,
  definition: AttributeDefinition,
  { pointer, of }: { pointer: string; of: string },
): Generator<AttributeFault> {
  const { label, type, options } = definition
  if (!hasType(value, type)) {
    yield { pointer, code: 'attribute_type', message: `${label}${of} must be ${TYPE_NAMES[type]}.` }
  } else if (type === 'enum') {
    const other = [value].flat().find((one) => !options.includes(one as string))
    if (other === undefined) return
    const shown = options.slice(0, 20).join(', ') + (options.length > 20 ? ', …' : '')
    yield { pointer, code: 'attribute_option', message: `${label}${of} must be one of: ${shown}.` }
  }
}

const TYPE_NAMES: Readonly<Record<AttributeType, string>> = {
  text: 'a text or a list of texts',
  number: 'a number',
  boolean: 'true or false',
  enum: 'one of the options, or a list of them',
}

function hasType(value: unknown, type: AttributeType): boolean {
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value)
  if (type === 'boolean') return typeof value === 'boolean'
  return typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
}

/** A cell of a file as the value that its definition asks for; as it stands where it cannot be one. */
export function attributeFromText(
  text: string,
  definition: AttributeDefinition | undefined,
): string | number | boolean {
  if (definition?.type === 'number' && /^-?\d{1,15}(?:\.\d{1,10})?$/.test(text)) return Number(text)
  if (definition?.type === 'boolean' && /^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return text
}
