import type { AttributeDefinition } from '../../../domain/catalog/attribute'
import { CsvReader } from '../../../domain/import/csv'
import type { WarehouseId } from '../../../domain/ids'
import { type ImportRow, isRejection, readHead, readRow } from '../../../domain/import/row'
import { type StoredCatalog, planBatch, type StoredSku } from '../../../domain/import/batch'

const LONDON = 'wh_01h455vb4pex5vsknk084sn02q' as WarehouseId
const DUBLIN = 'wh_01h455vb4pex5vsknk084sn02r' as WarehouseId
const CONTEXT = {
  defaultCurrency: 'GBP',
  warehouses: new Map([
    ['london', LONDON],
    ['dublin', DUBLIN],
  ]),
}
/** The line below this header, read. */
function under(header: string, text: string): ReturnType<typeof readRow> {
  const file = Buffer.from(`${header}${text}\n`)
  const head = readHead(file)
  if (typeof head === 'string') throw new Error(head)
  const [record] = new CsvReader(head).push(file.subarray(head.byte))
  if (!record) throw new Error('no record')
  return readRow(record, head.header, CONTEXT)
}

const COLUMNS = 'sku,title,description,brand,category,price,currency,weight_grams,warehouse,on_hand'

describe('the header', () => {
  it('takes columns in any order, in any case, after a byte order mark', () => {
    const head = readHead(Buffer.from('\uFEFFPrice, SKU ,title\r\n1,2,3\n'))
    expect(head).toEqual({
      header: { width: 3, position: { price: 0, sku: 1, title: 2 }, attributes: [] },
      byte: 22,
      line: 2,
    })
  })

  it.each([
    ['', 'empty'],
    ['sku,colour\n', '"colour"'],
    ['title,price\n', '"sku"'],
    ['sku,title,sku\n', 'twice'],
    ['"sku,title\n', 'quote'],
    [Buffer.from([0xff, 0xfe, 0x73, 0x00, 0x6b, 0x00]), 'UTF-8'],
    ['sku,attr.\n', '"attr."'],
    ['sku,attr.a b\n', '"attr.a b"'],
    ['sku,attr.size,ATTR.Size\n', 'twice'],
    [`sku,${Array.from({ length: 101 }, (_, index) => `attr.a${index}`).join(',')}\n`, 'more than 100'],
  ])('refuses %j', (text, reason) => {
    expect(readHead(Buffer.from(text as string))).toContain(reason)
  })
})

describe('a line', () => {
  it('is understood, with what is empty left out', () => {
    expect(rowOf('85123a, Heart ,,,Home Décor,2.55,gbp,120,LONDON,7')).toEqual({
      line: 2,
      sku: '85123A',
      skuWritten: '85123a',
      title: 'Heart',
      category: [{ slug: 'home-decor', title: 'Home Décor' }],
      price: { amount: 255, currency: 'GBP' },
      weightGrams: 120,
      stock: { warehouseId: LONDON, onHand: 7 },
    })
    expect(rowOf('A1,,,,,,,,,')).toEqual({ line: 2, sku: 'A1', skuWritten: 'A1' })
  })

  it('has a cost in the currency of the line, and what it measures', () => {
    const measured = 'sku,currency,cost,height_mm,width_mm,length_mm,weight_grams\n'
    expect(under(measured, 'A1,eur,1.20,85,,120,0')).toEqual({
      line: 2,
      sku: 'A1',
      skuWritten: 'A1',
      cost: { amount: 120, currency: 'EUR' },
      heightMm: 85,
      lengthMm: 120,
      weightGrams: 0,
    })
  })

  it.each([
    ['1.205,,,', 'bad_cost', 'cost "1.205"'],
    ['-1,,,', 'bad_cost', 'cost "-1"'],
    [',12.5,,', 'bad_dimension', 'length_mm "12.5"'],
    [',,100001,', 'bad_dimension', 'width_mm "100001"'],
    [',,,1e3', 'bad_dimension', 'height_mm "1e3"'],
  ])('with the cost and the dimensions %s is rejected: %s', (text, code, message) => {
    expect(under('sku,cost,length_mm,width_mm,height_mm\n', `A1,${text}`)).toEqual({
      line: 2,
      code,
      message: expect.stringContaining(message),
    })
  })

  it('has attributes by the columns of that name, and a path of categories', () => {
    expect(under('attr.Size,sku,category,attr.pieces\n', ' L ,A1, Kitchen / Mugs ,')).toEqual({
      line: 2,
      sku: 'A1',
      skuWritten: 'A1',
      category: [
        { slug: 'kitchen', title: 'Kitchen' },
        { slug: 'kitchen-mugs', title: 'Mugs' },
      ],
      attributes: { Size: 'L' },
    })
  })

  it.each([
    ['1500,JPY', { amount: 1500, currency: 'JPY' }],
    ['1.234,KWD', { amount: 1234, currency: 'KWD' }],
    ['2.5,', { amount: 250, currency: 'GBP' }],
    ['0,GBP', { amount: 0, currency: 'GBP' }],
  ])('has the price %s in minor units of its currency', (price, money) => {
    expect(rowOf(`A1,T,,,,${price},,,`)).toMatchObject({ price: money })
  })

  it.each([
    ['A1,T,,,,2.555,GBP,,,', 'bad_price'],
    ['A1,T,,,,1.5,JPY,,,', 'bad_price'],
    ['A1,T,,,,-1,GBP,,,', 'bad_price'],
    ['A1,T,,,,1e3,GBP,,,', 'bad_price'],
    ['A1,T,,,,"1,50",EUR,,,', 'bad_price'],
    ['A1,T,,,,£2,GBP,,,', 'bad_price'],
    ['A1,T,,,,99999999999999,GBP,,,', 'bad_price'],
    ['A1,T,,,,1,DEM,,,', 'unknown_currency'],
    ['A1,T,,,,1,pounds,,,', 'unknown_currency'],
    [',T,,,,1,GBP,,,', 'bad_sku'],
    [`${'x'.repeat(65)},T,,,,1,GBP,,,`, 'bad_sku'],
    ['Ä1,T,,,,1,GBP,,,', 'bad_sku'],
    [`A1,${'x'.repeat(256)},,,,,,,,`, 'text_too_long'],
    ['A1,T,,,,,,-5,,', 'bad_weight'],
    ['A1,T,,,Kitchen//Mugs,,,,,', 'bad_category'],
    [`A1,T,,,${'x/'.repeat(10)}x,,,,,`, 'bad_category'],
    ['A1,T,,,,,,,Atlantis,5', 'unknown_warehouse'],
    ['A1,T,,,,,,,,5', 'warehouse_missing'],
    ['A1,T,,,,,,,London,-5', 'bad_on_hand'],
    ['A1,T,,,,,,,London,4.5', 'bad_on_hand'],
    ['A1,T,,,,,,,London,2000000000', 'bad_on_hand'],
    ['A1,T', 'column_count'],
    ['A1,5" T,,,,,,,,', 'bad_quotes'],
  ])('%s is rejected: %s', (text, code) => {
    expect(lineOf(text)).toMatchObject({ line: 2, code, message: expect.stringMatching(/./) })
  })
})

describe('a batch', () => {
  it('makes one product of several lines of a SKU, whatever its case', () => {
    const plan = planBatch(
      [rowOf('a1,Tea,,,Drinks,2,GBP,,London,5'), rowOf('A1,,,,,3,EUR,,Dublin,6', 3), rowOf('A1,Tea,,,,,,,,', 4)],
      NOTHING,
    )
    expect(plan).toMatchObject({ accepted: 3, rejections: [] })
    expect(plan.newSkus).toEqual([
      {
        sku: 'A1',
        skuWritten: 'a1',
        title: 'Tea',
        category: [{ slug: 'drinks', title: 'Drinks' }],
        attributes: {},
        prices: new Map([
          ['GBP', 200],
          ['EUR', 300],
        ]),
        costs: new Map(),
        stock: new Map([
          [LONDON, 5],
          [DUBLIN, 6],
        ]),
      },
    ])
  })

  it.each([
    ['A1,Coffee,,,,,,,,', 'title'],
    ['A1,,,,,9,GBP,,,', 'price'],
    ['A1,,,,,,,,London,9', 'on_hand'],
    ['A1,,,,Food,,,,,', 'category'],
  ])('rejects the line %s that contradicts an earlier one, in this batch or before', (text, field) => {
    const first = rowOf('A1,Tea,,,Drinks,2,GBP,,London,5')
    const together = planBatch([first, rowOf(text, 3)], NOTHING)
    const later = planBatch([rowOf(text, 3)], { ...NOTHING, facts: planBatch([first], NOTHING).facts })
    for (const plan of [together, later]) {
      expect(plan.rejections).toEqual([
        { line: 3, code: 'conflicting_line', message: `${field} differs from what line 2 says of this SKU.` },
      ])
    }
    expect(together.newSkus).toHaveLength(1)
  })

  it('rejects a new SKU without a title, and takes it once a line has one', () => {
    const plan = planBatch([rowOf('A1,,,,,2,GBP,,,'), rowOf('A1,Tea,,,,2,GBP,,,', 3)], NOTHING)
    expect(plan.rejections).toEqual([expect.objectContaining({ line: 2, code: 'title_missing' })])
    expect(plan.newSkus).toHaveLength(1)
  })

  it('writes nothing of what is as the file wants it already', () => {
    const plan = planBatch([rowOf('A1,Tea,,,Drinks,2,GBP,10,London,5')], known(TEA))
    expect(plan).toMatchObject({
      accepted: 1,
      newSkus: [],
      products: [],
      variants: [],
      prices: [],
      levels: [],
      productCategories: [],
    })
  })

  it('changes stock without touching the product, and the product when a price changes', () => {
    expect(planBatch([rowOf('A1,,,,,,,,London,6')], known(TEA))).toMatchObject({
      products: [],
      levels: [{ sku: 'A1', warehouseId: LONDON, onHand: 6 }],
    })
    expect(planBatch([rowOf('A1,,,,,3,GBP,,,')], known(TEA))).toMatchObject({
      products: [{ id: TEA.productId, version: 4, title: 'Tea' }],
      prices: [{ sku: 'A1', currency: 'GBP', amount: 300 }],
      levels: [],
    })
  })

  it('changes the product when a cost or a measure does, and neither when they are there already', () => {
    const row = { ...rowOf('A1,,,,,,,10,,'), cost: { amount: 90, currency: 'GBP' }, widthMm: 60 }
    expect(planBatch([row], known(TEA))).toMatchObject({ accepted: 1, products: [], variants: [], costs: [] })
    const dearer = { ...row, cost: { amount: 95, currency: 'GBP' } }
    expect(planBatch([dearer], known(TEA))).toMatchObject({
      products: [{ id: TEA.productId }],
      variants: [],
      costs: [{ sku: 'A1', currency: 'GBP', amount: 95 }],
    })
    expect(planBatch([{ ...row, heightMm: 40 }], known(TEA))).toMatchObject({
      products: [{ id: TEA.productId }],
      variants: [{ weightGrams: 10, lengthMm: null, widthMm: 60, heightMm: 40 }],
      costs: [],
    })
    expect(planBatch([row, { ...dearer, line: 3 }], known(TEA)).rejections).toEqual([
      { line: 3, code: 'conflicting_line', message: 'cost differs from what line 2 says of this SKU.' },
    ])
  })

  it('rejects fewer units than are promised, and then changes nothing of that line', () => {
    const plan = planBatch([rowOf('A1,New title,,,,,,,London,1')], known(TEA))
    expect(plan.rejections).toEqual([
      expect.objectContaining({ code: 'below_reserved', message: expect.stringContaining('2 units') }),
    ])
    expect(plan).toMatchObject({ accepted: 0, products: [], variants: [], levels: [] })
  })

  it('renames a product only where the SKU is all there is of it', () => {
    const one = planBatch([rowOf('A1,Green tea,,,,,,,,')], known(TEA))
    expect(one).toMatchObject({ products: [{ title: 'Green tea' }], variants: [{ sku: 'A1', title: 'Green tea' }] })
    const oneOfTwo = { ...TEA, product: { ...TEA.product, variants: 2 } }
    const two = planBatch([rowOf('A1,Green tea,,,Food,,,,,')], known(oneOfTwo))
    expect(two).toMatchObject({
      products: [{ title: 'Tea' }],
      variants: [{ sku: 'A1', title: 'Green tea' }],
      productCategories: [],
    })
  })
})

describe('the attributes in a batch', () => {
  const size = definition({ name: 'size', type: 'enum', options: ['S', 'L'] })
  const schemas = new Map([
    ['drinks', [size, definition({ name: 'pieces', type: 'number' }), definition({ name: 'hot', type: 'boolean' })]],
    ['food', [definition({ name: 'size', required: true })]],
  ])
  const here = (): StoredCatalog => ({ ...known(TEA), schemas })

  it('are read as the category says, also as one above it does that is there already', () => {
    const row = { ...rowOf('NEW,T,,,Drinks/Hot/Tea,,,,,'), attributes: { pieces: '6', hot: 'TRUE', free: '6' } }
    const { newSkus, rejections } = planBatch([row], here())
    expect(rejections).toEqual([])
    expect(newSkus).toEqual([expect.objectContaining({ attributes: { pieces: 6, hot: true, free: '6' } })])
  })

  it.each([
    ['NEW,T,,,Drinks,,,,,', { size: 'XL' }, '/attributes/size'],
    ['NEW,T,,,Drinks/New,,,,,', { pieces: 'six' }, '/attributes/pieces'],
    ['NEW,T,,,Food,,,,,', {}, '/attributes/size'],
    ['A1,,,,Food,,,,,', {}, '/attributes/size'],
    ['A1,,,,,,,,,', { hot: 'maybe' }, '/attributes/hot'],
  ])('%s with %j is rejected, and changes nothing', (text, attributes, pointer) => {
    const plan = planBatch([{ ...rowOf(text), attributes }], here())
    expect(plan.rejections).toEqual([
      { line: 2, code: 'bad_attribute', message: expect.stringContaining(`${pointer}: `) },
    ])
    expect(plan).toMatchObject({ accepted: 0, categories: [], newSkus: [], products: [], productCategories: [] })
  })

  it('join those that are there: of the product where the SKU is all there is of it, else of the variant', () => {
    const row = { ...rowOf('A1,,,,,,,,,'), attributes: { size: 'L' } }
    const one = { ...TEA, product: { ...TEA.product, attributes: { pieces: 2, tags: ['a', 'b'] } } }
    expect(planBatch([row], { ...known(one), schemas })).toMatchObject({
      products: [{ attributes: { pieces: 2, tags: ['a', 'b'], size: 'L' } }],
      variants: [],
    })
    const several = { ...one, product: { ...one.product, variants: 2 } }
    expect(planBatch([row], { ...known(several), schemas })).toMatchObject({
      products: [{ attributes: { pieces: 2, tags: ['a', 'b'] } }],
      variants: [{ sku: 'A1', attributes: { size: 'L' } }],
    })
  })

  it('and the brand in another case are left alone when they are there already', () => {
    const now = { ...TEA, product: { ...TEA.product, brand: 'Acme', attributes: { size: 'L', tags: ['a'] } } }
    const row = { ...rowOf('A1,,,ACME,Drinks,,,,,'), attributes: { size: 'L' } }
    expect(planBatch([row], { ...known(now), schemas })).toMatchObject({ accepted: 1, products: [], variants: [] })
  })

  it('of two lines of a SKU come together, and contradict each other', () => {
    const first = { ...rowOf('NEW,T,,,Drinks,,,,,'), attributes: { size: 'L' } }
    const more = { ...rowOf('NEW,,,,,,,,,', 3), attributes: { pieces: '6' } }
    const other = { ...rowOf('NEW,,,,,,,,,', 4), attributes: { size: 'S' } }
    const plan = planBatch([first, more, other], here())
    expect(plan.newSkus).toEqual([expect.objectContaining({ attributes: { size: 'L', pieces: 6 } })])
    expect(plan.rejections).toEqual([
      { line: 4, code: 'conflicting_line', message: 'attr.size differs from what line 2 says of this SKU.' },
    ])
  })
})

const NOTHING: StoredCatalog = { present: new Map(), facts: new Map(), schemas: new Map() }

function definition(given: Partial<AttributeDefinition> & { name: string }): AttributeDefinition {
  return { label: given.name, type: 'text', required: false, filterable: false, options: [], unit: null, ...given }
}

const TEA: StoredSku = {
  sku: 'A1',
  productId: 'prod_01h455vb4pex5vsknk084sn02q',
  title: 'Tea',
  weightGrams: 10,
  lengthMm: null,
  widthMm: 60,
  heightMm: null,
  costs: { GBP: 90 },
  attributes: {},
  product: {
    version: 4,
    title: 'Tea',
    description: '',
    brand: null,
    attributes: {},
    categories: ['drinks'],
    variants: 1,
  },
  prices: { GBP: 200 },
  levels: { [LONDON]: [5, 2] },
}

function known(sku: StoredSku): StoredCatalog {
  return { ...NOTHING, present: new Map([[sku.sku, sku]]) }
}

function lineOf(text: string) {
  const file = Buffer.from(`${COLUMNS}\n${text}\n`)
  const head = readHead(file)
  const reader = new CsvReader({ byte: 0, line: 1 })
  const [, record] = [...reader.push(file), ...reader.end()]
  if (typeof head === 'string' || !record) throw new Error('the test has no such line')
  return readRow(record, head.header, CONTEXT)
}

function rowOf(text: string, line = 2): ImportRow {
  const row = lineOf(text)
  if (isRejection(row)) throw new Error(row.message)
  return { ...row, line }
}
