import { creditNote, invoice, packingSlip } from '../../../api/order/document'
import type { SlipShipment } from '../../../db/order/document'
import type { StoredShipment } from '../../../db/order/shipment'
import type { Order, OrderLine } from '../../../db/order/read'
import type { Capture, Refund } from '../../../db/payment/move'
import { newId } from '../../../db/id'
import { pdfLines } from '../../support/pdf-text'

const AT = new Date('2026-03-04T05:06:07Z')
const PAYMENT = newId('payment')
const ADDRESS = {
  name: 'Zoë Ŝmith',
  company: null,
  line1: '1 High St',
  line2: null,
  city: 'Leeds',
  postal_code: 'LS1 4DY',
  region: null,
  country: 'GB',
  phone: null,
}

function lineOf(given: Partial<OrderLine> = {}): OrderLine {
  const { quantity = 2, unitPrice = 1_250 } = given
  const total = quantity * unitPrice
  return {
    ...{
      sku: 'TEA-1',
      title: 'Blue china teapot',
      sellerId: 'house',
      cancelled: 0,
      shipped: 0,
      delivered: 0,
      discount: 0,
      tax: 0,
      total,
    },
    ...given,
    quantity,
    unitPrice,
  }
}

/** An order of these lines, with shipping of 495 and all else as it is given. */
function orderOf(lines: readonly OrderLine[] = [lineOf()], given: Partial<Order> = {}): Order {
  const subtotal = lines.reduce((sum, line) => sum + line.total, 0)
  return {
    id: newId('order'),
    number: 'HF-100001',
    cartId: newId('cart'),
    status: 'confirmed',
    cancelReason: null,
    heldFor: [],
    isLabelled: false,
    addressVersion: 1,
    eventSeq: 1,
    shipments: [],
    commands: [],
    paymentStatus: 'authorized',
    fulfillmentStatus: 'unfulfilled',
    currency: 'GBP',
    email: 'buyer@example.com',
    shippingAddress: ADDRESS,
    shippingMethod: 'express',
    bodyHash: Buffer.alloc(0),
    ...{ subtotal, discount: 0, shipping: 495, tax: 0, total: subtotal + 495, cancelled: 0, waived: 0 },
    ...{ holdExpiresAt: null, refusal: null, createdAt: AT, updatedAt: AT, confirmedAt: AT },
    lines,
    attempts: [
      {
        ...{ id: PAYMENT, attempt: 1, provider: 'sandbox', status: 'authorized', outcome: 'completed' },
        ...{ amount: subtotal + 495, captured: 0, released: 0, refunded: 0, refunding: 0 },
        ...{ declineCode: null, actionUrl: null, createdAt: AT.toISOString() },
      },
    ],
    refunds: [],
    ...given,
  }
}

function captureOf(amount: number, given: Partial<Capture> = {}): Capture {
  return {
    ...{
      id: newId('capture'),
      orderId: newId('order'),
      paymentId: PAYMENT,
      number: 1,
      key: 'k',
      amount,
      currency: 'GBP',
    },
    ...{ status: 'succeeded', actor: null, reference: 'r', failureCode: null, createdAt: AT, cause: 'staff' },
    ...given,
  }
}

function refundOf(amount: number, given: Partial<Refund> = {}): Refund {
  const id = newId('refund')
  return {
    ...{ id, requestId: id, orderId: newId('order'), paymentId: PAYMENT, number: 3, key: 'k', amount, currency: 'GBP' },
    ...{ status: 'succeeded', actor: null, reference: 'r', failureCode: null, createdAt: AT, cause: 'staff' },
    ...{ reasonCode: 'damaged_item', restock: false, returned: 0, returnedTax: 0, retries: null, insteadStatus: null },
    ...given,
  }
}

const invoiceOf = (order: Order, captures: readonly Capture[] = []) =>
  invoice({ order, billingAddress: null, captures, storeName: 'Tea & Co' })
const slipOf = (order: Order, shipment: SlipShipment | null = null) =>
  packingSlip({ order, shipment, storeName: 'Tea & Co' })
const noteOf = (order: Order, refunds: readonly (readonly Refund[])[]) =>
  creditNote({ order, billingAddress: null, refunds, storeName: 'Tea & Co' })

const SHIPMENT: StoredShipment = {
  ...{ id: newId('shipment'), orderId: newId('order'), number: 2, warehouseId: newId('warehouse'), sellerId: 'house' },
  ...{ status: 'allocated', lines: [], replaces: null, wave: '2026-11-30', isLeaving: false, hasLabel: false },
  ...{ carrier: null, service: null, trackingNumber: null, trackingUrl: null, expectedAt: null, events: [] },
}
const linesOf = async (pdf: Promise<Buffer>) => pdfLines(await pdf).flat()
const letters = (lines: readonly string[]) => lines.join('').replaceAll(' ', '')

describe('an invoice', () => {
  it('has a number, the seller, both addresses, and the figures of each line', async () => {
    const billingAddress = { ...ADDRESS, name: 'Smith & Sons', line1: '9 Low St' }
    const order = orderOf([lineOf({ discount: 100, total: 2_400, tax: 400 })], { tax: 400, discount: 100 })
    const lines = await linesOf(invoice({ order, billingAddress, captures: [], storeName: 'Tea & Co' }))
    expect(lines[0]).toBe('Tea & Co Invoice')
    expect(lines).toEqual(
      expect.arrayContaining([
        'Invoice number INV-HF-100001',
        'Invoice date 2026-03-04',
        'Order HF-100001',
        'Smith & Sons Zoë Ŝmith',
        '9 Low St 1 High St',
        'buyer@example.com',
        'Blue china teapot 2 12.50 1.00 4.00 24.00',
        'TEA-1',
        'Nothing has been charged.',
        'Invoice INV-HF-100001 · Tea & Co Page 1 of 1',
      ]),
    )
  })

  it('shows the stored sums, with the tax that is in them', async () => {
    const order = orderOf([lineOf({ tax: 417 })], { tax: 500, discount: 100, subtotal: 2_600 })
    expect(await linesOf(invoiceOf(order))).toEqual(
      expect.arrayContaining([
        'Subtotal GBP 26.00',
        'Discount GBP -1.00',
        'Shipping, express GBP 4.95',
        'Total GBP 29.95',
        'Tax on the products, included GBP 4.17',
        'Tax on shipping, included GBP 0.83',
      ]),
    )
  })

  it('shows tax that comes on top', async () => {
    const order = orderOf([lineOf({ tax: 500, total: 3_000 })], { tax: 599, subtotal: 2_500, total: 3_594 })
    const lines = await linesOf(invoiceOf(order))
    expect(lines).toEqual(
      expect.arrayContaining(['Tax on the products GBP 5.00', 'Tax on shipping GBP 0.99', 'Total GBP 35.94']),
    )
  })

  it('says what was cancelled and is not owed', async () => {
    const order = orderOf([lineOf({ quantity: 3, cancelled: 1 })], { cancelled: 1_250, waived: 5 })
    const lines = await linesOf(invoiceOf(order))
    expect(lines).toEqual(
      expect.arrayContaining([
        'TEA-1 · 1 of 3 cancelled',
        'Total GBP 42.45',
        'Cancelled: not owed GBP -12.50',
        'Rounded off: not owed GBP -0.05',
        'Owed GBP 29.90',
      ]),
    )
  })

  it('lists what was charged, and what went back', async () => {
    const order = orderOf()
    const [attempt] = order.attempts
    const paid = { ...order, attempts: [{ ...attempt!, captured: 2_995, refunded: 200, refunding: 95 }] }
    const captures = [captureOf(1_000), captureOf(1_995, { status: 'pending' }), captureOf(7, { status: 'failed' })]
    const lines = await linesOf(invoiceOf(paid, captures))
    expect(lines).toEqual(
      expect.arrayContaining([
        '2026-03-04 sandbox charged 10.00',
        '2026-03-04 sandbox asked for, not answered yet 19.95',
        'Charged GBP 29.95',
        'Refunded GBP -2.00',
        'Refunds on their way GBP -0.95',
      ]),
    )
    expect(lines.filter((line) => line.includes('0.07'))).toEqual([])
  })

  it.each([
    ['JPY', '1250', 'JPY 2995'],
    ['KWD', '1.250', 'KWD 2.995'],
    ['GBP', '12.50', 'GBP 29.95'],
  ])('writes %s with the digits that it has', async (currency, unit, total) => {
    const lines = await linesOf(invoiceOf(orderOf([lineOf()], { currency })))
    expect(lines).toContain(`Total ${total}`)
    expect(lines.find((line) => line.startsWith('Blue china'))).toContain(` ${unit} `)
  })

  it('shows the largest amounts whole', async () => {
    const order = orderOf([lineOf({ quantity: 100_000, unitPrice: 10_000_000 })], { currency: 'KWD' })
    const lines = await linesOf(invoiceOf(order))
    expect(lines).toContain('Blue china teapot 100000 10000.000 0.000 0.000 1000000000.000')
  })
})

describe('a packing slip', () => {
  it('lists what has not left yet, without prices', async () => {
    const lines = [
      lineOf({ quantity: 7, cancelled: 1, shipped: 2 }),
      lineOf({ sku: 'GONE', quantity: 2, shipped: 2 }),
      lineOf({ sku: 'MUG', title: 'Red mug', quantity: 1 }),
    ]
    const text = await linesOf(slipOf(orderOf(lines)))
    expect(text[0]).toBe('Tea & Co Packing slip')
    expect(text).toEqual(
      expect.arrayContaining(['□ 4 TEA-1 Blue china teapot', '□ 1 MUG Red mug', 'Units in all 5', 'Zoë Ŝmith']),
    )
    expect(text.join('\n')).not.toMatch(/GONE|GBP|\d\.\d\d/)
  })

  it('lists what is sent once more, and once nothing is, all that was sent', async () => {
    const lines = [lineOf({ quantity: 3, cancelled: 1, shipped: 2 })]
    const again = { ...SHIPMENT, lines: [{ sku: 'TEA-1', quantity: 1 }], replaces: newId('shipment') }
    const toSend = await linesOf(slipOf(orderOf(lines, { shipments: [again] })))
    expect(toSend).toEqual(expect.arrayContaining(['Parcel all that is to be sent', '□ 1 TEA-1 Blue china teapot']))
    for (const shipments of [[], [{ ...again, status: 'shipped' } as const]]) {
      const sent = await linesOf(slipOf(orderOf(lines, { shipments })))
      expect(sent).toEqual(expect.arrayContaining(['Parcel all that was sent', '□ 2 TEA-1 Blue china teapot']))
    }
  })

  it('lists a parcel, with where it comes from and its label', async () => {
    const shipment: SlipShipment = {
      ...{ number: 2, status: 'labelled', warehouse: 'Łódź', createdAt: AT, carrier: 'sandbox', service: 'express' },
      boxes: [{ weight_grams: 1_500, length_mm: 1, width_mm: 1, height_mm: 1 }],
      trackingNumber: 'TRACK-1',
      lines: [{ sku: 'MUG', title: 'Red mug', quantity: 3 }],
    }
    const text = await linesOf(slipOf(orderOf(), shipment))
    expect(text).toEqual(expect.arrayContaining(['Parcel 2', '□ 3 MUG Red mug', 'Units in all 3']))
    expect(text.join('\n')).toMatch(/Łódź[^]*1 box, 1500 g[^]*sandbox express[^]*Tracking number TRACK-1/)
    expect(text.at(-1)).toBe('Packing slip HF-100001-2 · Tea & Co Page 1 of 1')
  })
})

describe('a credit note', () => {
  it('has the number of its refund, and what is in it', async () => {
    const lines = await linesOf(noteOf(orderOf(), [[refundOf(1_250, { returned: 1_000, returnedTax: 167 })]]))
    expect(lines[0]).toBe('Tea & Co Credit note')
    expect(lines).toEqual(
      expect.arrayContaining([
        'Credit note number CN-HF-100001-3',
        'Of invoice INV-HF-100001',
        '2026-03-04 sandbox damaged item, given back 12.50',
        'Credited GBP 12.50',
        'Of it, for products that were sent GBP 10.00',
        'Tax in that GBP 1.67',
      ]),
    )
  })

  it('stands on a page of its own, one for each refund', async () => {
    const pending = refundOf(300, { number: 5, status: 'pending', reasonCode: null, cause: 'cancel' })
    const pages = pdfLines(await noteOf(orderOf(), [[refundOf(1_250)], [pending]]))
    expect(pages).toHaveLength(2)
    expect(pages[0]).toContain('Credit note number CN-HF-100001-3')
    expect(pages[1]).toContain('Credit note number CN-HF-100001-5')
    expect(pages[1]).toContain('2026-03-04 sandbox cancel, on its way back 3.00')
  })

  it('counts a refund that was tried again once, under its first number', async () => {
    const refused = refundOf(500, { status: 'failed', returned: 500, returnedTax: 80 })
    const again = refundOf(500, {
      requestId: refused.id,
      retries: refused.id,
      number: 4,
      returned: 500,
      returnedTax: 80,
    })
    const lines = await linesOf(noteOf(orderOf(), [[refused, again]]))
    expect(lines).toEqual(
      expect.arrayContaining(['Credit note number CN-HF-100001-3', 'Credited GBP 5.00', 'Tax in that GBP 0.80']),
    )
  })
})

describe('a document', () => {
  it('is the same for the same rows', async () => {
    const order = orderOf()
    const [one, other] = [await invoiceOf(order), await invoiceOf(order)]
    expect(one.equals(other)).toBe(true)
    expect((await invoiceOf({ ...order, number: 'HF-100002' })).equals(one)).toBe(false)
  })

  it('of 1,000 lines has them all in order, under a head on each page, and lets others work meanwhile', async () => {
    const lines = Array.from({ length: 1_000 }, (_, nth) =>
      lineOf({
        sku: `SKU-${nth}`,
        title: `Thing number ${nth} of a long, long order with words to break`,
        unitPrice: nth,
      }),
    )
    let turns = 0
    const counting = setInterval(() => turns++)
    const before = process.cpuUsage()
    const pages = pdfLines(await invoiceOf(orderOf(lines)))
    const { user, system } = process.cpuUsage(before)
    clearInterval(counting)
    expect(pages.flat().flatMap((line) => /^SKU-\d+/.exec(line)?.[0] ?? [])).toEqual(lines.map(({ sku }) => sku))
    expect(pages.length).toBeGreaterThan(20)
    const tabled = pages.filter((page) => page.some((line) => line.startsWith('SKU-')))
    for (const page of tabled) expect(page.some((line) => line.startsWith('Product Quantity'))).toBe(true)
    for (const [nth, page] of pages.entries()) expect(page.at(-1)).toContain(`Page ${nth + 1} of ${pages.length}`)
    expect(turns).toBeGreaterThan(5)
    expect((user + system) / 1e6).toBeLessThan(5)
  }, 30_000)

  it.each([
    ['controls', 'a\u0000b\u0007\u001bc\r\nd', 'abcd'],
    ['what turns the direction', '\u202eabc\u202c', 'abc'],
    ['letters that the font lacks', '漢字 ไทย', '\ufffd\ufffd'],
    ['an emoji of many parts', '👩‍👩‍👧‍👦 x', 'x'],
    ['Hebrew', 'שלום 12', '12םולש'],
    ['ligatures', 'ﬁne office', 'fineoffice'],
    ['nothing but spaces', '   ', ''],
    ['other scripts', 'Ёлка Ελλάς ქართული', 'ЁлкаΕλλάςქართული'],
  ])('shows a title of %s', async (_what, title, shown) => {
    const order = orderOf([lineOf({ title }), lineOf({ title: 'Honest tea', sku: 'TEA-2' })])
    for (const pdf of [invoiceOf(order), slipOf(order)]) {
      const text = await linesOf(pdf)
      expect(letters(text).normalize('NFKC')).toContain(shown)
      expect(letters(text)).toContain('Honesttea')
    }
  })

  it('joins Arabic letters, and turns them', async () => {
    const text = letters(await linesOf(slipOf(orderOf([lineOf({ title: 'مرحبا' })]))))
    expect(text.normalize('NFKC')).toContain('ابحرم')
  })

  it.each([
    ['one word', 'x'.repeat(65_536)],
    ['words', 'word '.repeat(13_107)],
    ['marks', `a${'\u0301'.repeat(65_535)}`],
    ['Hebrew', 'שלום '.repeat(13_107)],
  ])('cuts 64k of %s', async (_what, title) => {
    const order = orderOf([lineOf({ title, sku: title.slice(0, 64) })], {
      shippingAddress: { ...ADDRESS, name: title },
    })
    for (const pdf of [invoiceOf(order), slipOf(order)]) {
      const pages = pdfLines(await pdf)
      expect(pages).toHaveLength(1)
      expect(pages.flat().join('').length).toBeLessThan(3_000)
    }
  })

  it('is written by a seller of any name', async () => {
    const pdf = await packingSlip({ order: orderOf(), shipment: null, storeName: 'Кафе (Café) \u0000 漢' })
    expect(pdfLines(pdf)[0]?.[0]).toBe('Кафе (Café) \ufffd Packing slip')
  })
})
