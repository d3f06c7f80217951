import { LENGTH_MM_MAX, ON_HAND_MAX, PRICE_AMOUNT_MAX, WEIGHT_GRAMS_MAX } from '../catalog/product'
import { CATEGORY_DEPTH_MAX, CATEGORY_TITLE_LENGTH_MAX, categoryPath, type CategoryStep } from '../catalog/category'
import { type CsvProblem, CsvReader, type CsvRecord } from './csv'
import { isCurrency } from '../currency'
import { type Sku, SKU_PATTERN, skuKey, type WarehouseId } from '../ids'
import { type Currency, minorDigits, parseMajor } from '../money'

/** The columns of a catalog file. They may come in any order; only `sku` is a must. */
export const IMPORT_COLUMNS = [
  'sku',
  'title',
  'description',
  'brand',
  'category',
  'price',
  'cost',
  'currency',
  'weight_grams',
  'length_mm',
  'width_mm',
  'height_mm',
  'warehouse',
  'on_hand',
] as const
export type ImportColumn = (typeof IMPORT_COLUMNS)[number]

/** Columns of this form come besides: `attr.color` holds the attribute `color`. */
const ATTRIBUTE_COLUMN = /^attr\.([\w-]{1,100})$/i
const ATTRIBUTE_COLUMNS_MAX = 100

/** What a variant measures: its column, its field, and the most that is believed. */
export const MEASURES = [
  { column: 'weight_grams', field: 'weightGrams', max: WEIGHT_GRAMS_MAX, code: 'bad_weight' },
  { column: 'length_mm', field: 'lengthMm', max: LENGTH_MM_MAX, code: 'bad_dimension' },
  { column: 'width_mm', field: 'widthMm', max: LENGTH_MM_MAX, code: 'bad_dimension' },
  { column: 'height_mm', field: 'heightMm', max: LENGTH_MM_MAX, code: 'bad_dimension' },
] as const
export type Measure = (typeof MEASURES)[number]['field']

const TEXT_LENGTH_MAX = { title: 255, description: 20_000, brand: 100 } as const
const ATTRIBUTE_LENGTH_MAX = 1_000

/** Which field of a record is which column. */
export interface ImportHeader {
  readonly width: number
  readonly position: Readonly<Partial<Record<ImportColumn, number>>>
  readonly attributes: readonly { readonly name: string; readonly position: number }[]
}

/** One line, understood. What is left empty in the file is left out here and stays as it is in the shop. */
export interface ImportRow extends Readonly<Partial<Record<Measure, number>>> {
  readonly line: number
  readonly sku: Sku
  readonly skuWritten: string
  readonly title?: string
  readonly description?: string
  readonly brand?: string
  /** From the root to the category itself. */
  readonly category?: readonly CategoryStep[]
  /** As they are written; what they must be is for the category to say. */
  readonly attributes?: Readonly<Record<string, string>>
  readonly price?: { readonly amount: number; readonly currency: Currency }
  /** What a unit costs the merchant. */
  readonly cost?: { readonly amount: number; readonly currency: Currency }
  readonly stock?: { readonly warehouseId: WarehouseId; readonly onHand: number }
}

export type RejectionCode =
  | CsvProblem
  | 'column_count'
  | 'bad_sku'
  | 'title_missing'
  | 'text_too_long'
  | 'bad_category'
  | 'bad_attribute'
  | 'bad_price'
  | 'bad_cost'
  | 'unknown_currency'
  | 'bad_weight'
  | 'bad_dimension'
  | 'bad_on_hand'
  | 'warehouse_missing'
  | 'unknown_warehouse'
  | 'conflicting_line'
  | 'below_reserved'

export interface Rejection {
  readonly line: number
  readonly code: RejectionCode
  readonly message: string
}

/** What a line is read against: the store's currency, and its warehouses by lower-case name and by id. */
export interface ImportContext {
  readonly defaultCurrency: Currency
  readonly warehouses: ReadonlyMap<string, WarehouseId>
}

const PROBLEM_MESSAGES: Record<CsvProblem, string> = {
  bad_quotes:
    'A quote is not closed, or stands inside a field that does not begin with one. Write "" for a quote in a quoted field.',
  bad_encoding: 'The line is not UTF-8.',
  bad_character: 'The line holds a NUL byte.',
  line_too_long: 'The line is longer than 64 KiB.',
}

/** Where the first row begins, and what its fields are. */
export interface ImportHead {
  readonly header: ImportHeader
  readonly byte: number
  readonly line: number
}

/** A header is found within so many bytes of the file's start, or not at all. */
export const HEAD_BYTES_MAX = 131_072

/** Reads a file's first line from its first bytes (the byte order mark is passed over); a string says what is wrong. */
export function readHead(start: Buffer): ImportHead | string {
  const mark = start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf ? 3 : 0
  const reader = new CsvReader({ byte: mark, line: 1 })
  const first = reader.push(start.subarray(mark))[0] ?? reader.end()[0]
  const header = readHeader(first)
  if (typeof header === 'string' || !first) return String(header)
  return { header, byte: first.endByte, line: first.endLine }
}

function readHeader(record: CsvRecord | undefined): ImportHeader | string {
  if (!record) return 'The file is empty: its first line names the columns.'
  if ('problem' in record) return PROBLEM_MESSAGES[record.problem]
  const written = record.fields.map((field) => field.trim())
  const names = written.map((name) => name.toLowerCase())
  const attributes = written.flatMap((name, position) => {
    const attribute = ATTRIBUTE_COLUMN.exec(name)?.[1]
    return attribute === undefined ? [] : [{ name: attribute, position }]
  })
  const unknown = written.filter(
    (name, index) =>
      !(IMPORT_COLUMNS as readonly string[]).includes(names[index] ?? '') && !ATTRIBUTE_COLUMN.test(name),
  )
  if (unknown.length > 0) {
    const shown = unknown
      .slice(0, 5)
      .map((name) => JSON.stringify(name.slice(0, 40)))
      .join(', ')
    return `The first line names the columns, and ${shown} is none. Known are: ${IMPORT_COLUMNS.join(',')},attr.<name>.`
  }
  if (new Set(names).size < names.length) return 'A column is named twice.'
  if (!names.includes('sku')) return 'There is no column "sku".'
  if (attributes.length > ATTRIBUTE_COLUMNS_MAX) return `There are more than ${ATTRIBUTE_COLUMNS_MAX} attributes.`
  const position = Object.fromEntries(names.map((name, index) => [name, index]))
  for (const attribute of attributes) delete position[names[attribute.position] ?? '']
  return { width: names.length, position, attributes }
}

/** One record as a row, or as a rejection that says what is wrong with it first. */
export function readRow(record: CsvRecord, header: ImportHeader, context: ImportContext): ImportRow | Rejection {
  const { line } = record
  if ('problem' in record) return { line, code: record.problem, message: PROBLEM_MESSAGES[record.problem] }
  if (record.fields.length !== header.width) {
    return {
      line,
      code: 'column_count',
      message: `The line has ${record.fields.length} fields, the header ${header.width}.`,
    }
  }
  const text = (column: ImportColumn): string => {
    const position = header.position[column]
    return position === undefined ? '' : (record.fields[position] ?? '').trim()
  }
  const skuWritten = text('sku')
  if (!SKU_PATTERN.test(skuWritten)) {
    return { line, code: 'bad_sku', message: 'A SKU is 1 to 64 printable ASCII characters.' }
  }
  const texts = readTexts(line, text)
  if (isRejection(texts)) return texts
  const category = readCategory(line, text('category'))
  if (isRejection(category)) return category
  const attributes = readAttributes(record.line, record.fields, header)
  if (isRejection(attributes)) return attributes
  const measures = readMeasures(line, text)
  if (isRejection(measures)) return measures
  const currency = text('currency').toUpperCase() || context.defaultCurrency
  const price = readAmount(line, 'price', text('price'), currency)
  if (isRejection(price)) return price
  const cost = readAmount(line, 'cost', text('cost'), currency)
  if (isRejection(cost)) return cost
  const stock = readStock(line, text('on_hand'), text('warehouse'), context)
  if (isRejection(stock)) return stock
  return {
    line,
    sku: skuKey(skuWritten),
    skuWritten,
    ...texts,
    ...category,
    ...attributes,
    ...measures,
    ...price,
    ...cost,
    ...stock,
  }
}

export function isRejection<T extends object>(value: T | Rejection): value is Rejection {
  return 'code' in value
}

type Cell = (column: ImportColumn) => string
type Part<K extends keyof ImportRow> = Pick<ImportRow, K> | Rejection

function readTexts(line: number, text: Cell): Part<'title' | 'description' | 'brand'> {
  for (const [column, max] of Object.entries(TEXT_LENGTH_MAX)) {
    if (text(column as ImportColumn).length > max) {
      return { line, code: 'text_too_long', message: `${column} is longer than ${max} characters.` }
    }
  }
  const title = text('title')
  const description = text('description')
  const brand = text('brand')
  return {
    ...(title && { title }),
    ...(description && { description }),
    ...(brand && { brand }),
  }
}

/** A title, or a path of them such as `Kitchen/Mugs`. */
function readCategory(line: number, text: string): Part<'category'> {
  if (text === '') return {}
  const category = categoryPath(text)
  if (category) return { category }
  const message = `A category is 1 to ${CATEGORY_DEPTH_MAX} titles of 1 to ${CATEGORY_TITLE_LENGTH_MAX} characters, joined by slashes.`
  return { line, code: 'bad_category', message }
}

function readAttributes(line: number, fields: readonly string[], header: ImportHeader): Part<'attributes'> {
  const attributes: Record<string, string> = {}
  for (const { name, position } of header.attributes) {
    const text = (fields[position] ?? '').trim()
    if (text.length > ATTRIBUTE_LENGTH_MAX) {
      return { line, code: 'text_too_long', message: `attr.${name} is longer than ${ATTRIBUTE_LENGTH_MAX} characters.` }
    }
    if (text !== '') attributes[name] = text
  }
  return Object.keys(attributes).length > 0 ? { attributes } : {}
}

function readMeasures(line: number, text: Cell): Part<Measure> {
  const measures: Partial<Record<Measure, number>> = {}
  for (const { column, field, max, code } of MEASURES) {
    const given = text(column)
    if (given === '') continue
    const value = wholeNumber(given, max)
    if (value === null) {
      return { line, code, message: `${column} ${shown(given)} is no whole number from 0 to ${max}.` }
    }
    measures[field] = value
  }
  return measures
}

/** A price or a cost, in major units. */
function readAmount(line: number, column: 'price' | 'cost', text: string, currency: string): Part<'price' | 'cost'> {
  if (text === '') return {}
  if (!isCurrency(currency))
    return { line, code: 'unknown_currency', message: `${shown(currency)} is no ISO 4217 currency.` }
  const amount = parseMajor(text, currency)
  if (amount !== null && amount <= PRICE_AMOUNT_MAX) return { [column]: { amount, currency } }
  const digits = minorDigits(currency)
  return {
    line,
    code: `bad_${column}`,
    message: `${column} ${shown(text)} is no amount in ${currency} with at most ${digits} digits behind the point.`,
  }
}

function readStock(line: number, text: string, warehouse: string, context: ImportContext): Part<'stock'> {
  const warehouseId = context.warehouses.get(warehouse.toLowerCase())
  if (warehouse !== '' && warehouseId === undefined) {
    return { line, code: 'unknown_warehouse', message: `There is no warehouse ${shown(warehouse)}.` }
  }
  if (text === '') return {}
  if (warehouseId === undefined)
    return { line, code: 'warehouse_missing', message: 'on_hand is given without a warehouse.' }
  const onHand = wholeNumber(text, ON_HAND_MAX)
  if (onHand !== null) return { stock: { warehouseId, onHand } }
  return { line, code: 'bad_on_hand', message: `on_hand ${shown(text)} is no whole number from 0 to ${ON_HAND_MAX}.` }
}

function wholeNumber(text: string, max: number): number | null {
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  return value <= max ? value : null
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
