import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { withUploadSlot } from '../../../api/catalog/image-upload'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'

let api: TestApi
let staff: string
const folder = mkdtempSync(join(tmpdir(), 'holdfast-images-'))
beforeAll(async () => {
  api = await startApi({ IMAGE_STORE: folder, REQUEST_TIMEOUT_MS: '1000' })
  staff = await api.key('catalog')
})
afterAll(async () => {
  await api.close()
  rmSync(folder, { recursive: true, force: true })
})

let number = 0

async function product(): Promise<string> {
  const sku = `I${++number}`
  await seedProducts(api.database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock: 5 }])
  const { rows } = await api.database.pool.query('select product_id from variant where sku = $1', [sku])
  return rows[0].product_id
}

/** A picture that no other test has: half of it dark, half light. */
function picture(width: number, height: number, color = ++number): sharp.Sharp {
  const half = {
    create: { width: Math.ceil(width / 2), height, channels: 3 as const, background: { r: color, g: 0, b: 99 } },
  }
  return sharp({ create: { width, height, channels: 3, background: '#eee' } }).composite([
    { input: half, left: 0, top: 0 },
  ])
}

const upload = (id: string, raw: Buffer, type: string, query = '', extra = {}) =>
  api.call('post', `/v1/admin/products/${id}/images${query}`, {
    key: staff,
    raw,
    headers: { 'content-type': type },
    ...extra,
  })
const files = () => readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.webp')).length

async function fetchImage(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(api.url + path, { headers })
  return { response, bytes: Buffer.from(await response.arrayBuffer()) }
}

describe('POST …/images', () => {
  it.each(['jpeg', 'png', 'webp', 'gif'] as const)('keeps a %s as WebP of three sizes', async (format) => {
    const id = await product()
    const bytes = await picture(2_000, 1_000).toFormat(format).toBuffer()
    const { status, body } = await upload(id, bytes, `image/${format}`, '?alt=A%20cup')
    expect({ status, body }).toMatchObject({ status: 201, body: { alt: 'A cup', width: 1_600, height: 800 } })
    for (const [side, path] of Object.entries(body.urls as Record<string, string>)) {
      const { response, bytes } = await fetchImage(path)
      expect(response.headers.get('content-type')).toBe('image/webp')
      expect(await sharp(bytes).metadata()).toMatchObject({
        format: 'webp',
        width: Number(side),
        height: Number(side) / 2,
      })
    }
    expect((await api.call('get', `/v1/store/products/${id}`)).body.image_urls).toEqual([body.urls['800']])
    const { body: seen } = await api.call('get', `/v1/admin/products/${id}`, { key: staff })
    expect(seen).toMatchObject({
      version: 2,
      images: [{ id: body.id, urls: body.urls }],
      image_urls: [body.urls['800']],
    })
  })

  it('never enlarges', async () => {
    const { body } = await upload(await product(), await picture(300, 200).png().toBuffer(), 'image/png')
    expect(body).toMatchObject({ width: 300, height: 200 })
    const { bytes } = await fetchImage(body.urls['1600'])
    expect(await sharp(bytes).metadata()).toMatchObject({ width: 300, height: 200 })
  })

  it('turns it upright and strips where and when it was taken', async () => {
    const bytes = await picture(400, 200)
      .jpeg()
      .withExif({ IFD0: { Artist: 'Jane Doe' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } })
      .withMetadata({ orientation: 6 })
      .toBuffer()
    expect((await sharp(bytes).metadata()).orientation).toBe(6)
    const { body } = await upload(await product(), bytes, 'image/jpeg')
    expect(body).toMatchObject({ width: 200, height: 400 })
    const served = await fetchImage(body.urls['400'])
    expect(await sharp(served.bytes).metadata()).not.toHaveProperty('exif')
    expect(served.bytes.includes('Jane Doe')).toBe(false)
  })

  it('answers the same picture as it is, and keeps the files of two products once', async () => {
    const [one, other] = [await product(), await product()]
    const bytes = await picture(500, 500).png().toBuffer()
    const first = await upload(one, bytes, 'image/png', '?alt=First')
    const before = files()
    expect(await upload(one, bytes, 'image/png', '?alt=Second')).toMatchObject({ status: 200, body: first.body })
    expect((await upload(other, bytes, 'image/png')).body.urls).toEqual(first.body.urls)
    expect(files()).toBe(before)
  })

  it('does it once per idempotency key', async () => {
    const id = await product()
    const bytes = await picture(100, 100).png().toBuffer()
    const first = await upload(id, bytes, 'image/png', '', { idempotencyKey: `once-${id}` })
    const again = await upload(id, bytes, 'image/png', '', { idempotencyKey: `once-${id}` })
    expect(again).toMatchObject({ status: 201, body: first.body })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const other = await picture(100, 100).png().toBuffer()
    expect(await upload(id, other, 'image/png', '', { idempotencyKey: `once-${id}` })).toMatchObject({ status: 422 })
  })
})

describe('an upload that lies is refused (Magento PolyShell, CVE-2026-22849)', () => {
  const png = () => picture(50, 50).png().toBuffer()

  it.each<[string, () => Promise<Buffer> | Buffer, string, number, string]>([
    ['a PNG that says JPEG', png, 'image/jpeg', 415, 'unsupported_media_type'],
    [
      'a script that says PNG',
      () => Buffer.from('<?php system($_GET[0]); ?>'),
      'image/png',
      415,
      'unsupported_media_type',
    ],
    [
      'an SVG that says PNG',
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'image/png',
      415,
      'unsupported_media_type',
    ],
    [
      'an SVG',
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'image/svg+xml',
      415,
      'unsupported_media_type',
    ],
    ['nothing', () => Buffer.alloc(0), 'image/png', 415, 'unsupported_media_type'],
    [
      'a picture cut off',
      async () => (await picture(900, 900).jpeg().toBuffer()).subarray(0, 3_000),
      'image/jpeg',
      422,
      'image_invalid',
    ],
    [
      'a script behind the first bytes of a GIF',
      () => Buffer.from('GIF89a<?php system($_GET[0]); ?>'),
      'image/gif',
      422,
      'image_invalid',
    ],
    [
      'noise behind the first bytes of a PNG',
      () => Buffer.concat([PNG, Buffer.alloc(400, 7)]),
      'image/png',
      422,
      'image_invalid',
    ],
    ['a bomb of 30,000 × 30,000 pixels', () => bomb(30_000, 30_000), 'image/png', 422, 'image_too_large'],
    ['a strip of 200,000 pixels', () => bomb(200_000, 1), 'image/png', 422, 'image_too_large'],
  ])('%s', async (_what, bytes, type, status, code) => {
    const before = files()
    const id = await product()
    expect(await upload(id, await bytes(), type)).toMatchObject({ status, body: { code } })
    expect(files()).toBe(before)
    expect((await api.call('get', `/v1/admin/products/${id}`, { key: staff })).body).toMatchObject({
      images: [],
      version: 1,
    })
  })

  it('more than 20 MiB, said or not', async () => {
    const bytes = Buffer.alloc(20 * 2 ** 20 + 1)
    PNG.copy(bytes)
    expect(await upload(await product(), bytes, 'image/png')).toMatchObject({
      status: 413,
      body: { code: 'body_too_large' },
    })
    const id = await product()
    const response = await fetch(`${api.url}/v1/admin/products/${id}/images`, {
      method: 'POST',
      headers: { authorization: `Bearer ${staff}`, 'content-type': 'image/png' },
      body: new Blob([bytes]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'body_too_large'])
  })

  it('one that stops coming', async () => {
    const id = await product()
    const response = await fetch(`${api.url}/v1/admin/products/${id}/images`, {
      method: 'POST',
      headers: { authorization: `Bearer ${staff}`, 'content-type': 'image/png' },
      body: new ReadableStream({ start: (controller) => controller.enqueue(PNG) }),
      duplex: 'half',
    } as RequestInit)
    expect(response.status).toBe(408)
    // Reported by hand: the test's own client does not send streams.
    expect(await response.json()).toMatchObject({ code: 'request_timeout' })
  })

  it('too many at once', async () => {
    const release: (() => void)[] = []
    const held = Array.from({ length: 8 }, () => withUploadSlot(() => new Promise<void>((done) => release.push(done))))
    const refused = await upload(await product(), await png(), 'image/png')
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable', dependency: 'images' } })
    expect(refused.headers.get('retry-after')).toBe('5')
    for (const done of release) done()
    await Promise.all(held)
  })

  it('for a product that is not there, and by who may not', async () => {
    expect(await upload('prod_01h455vb4pex5vsknk084sn02q', await png(), 'image/png')).toMatchObject({ status: 404 })
    const key = await api.key('readonly')
    expect(await upload(await product(), await png(), 'image/png', '', { key })).toMatchObject({ status: 403 })
  })

  it('the fifty-first', async () => {
    const id = await product()
    await api.database.pool.query(
      `insert into product_image (id, product_id, name, position, width, height)
       select 'img_' || lpad(n::text, 26, '0'), $1, lpad(n::text, 32, '0'), n, 1, 1 from generate_series(1, 50) as n`,
      [id],
    )
    expect(await upload(id, await png(), 'image/png')).toMatchObject({ status: 422, body: { code: 'image_limit' } })
  })
})

describe('GET /images/{name}', () => {
  it('may be kept for ever, and is not sent twice', async () => {
    const { body } = await upload(await product(), await picture(60, 60).png().toBuffer(), 'image/png')
    const { response, bytes } = await fetchImage(body.urls['400'])
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(Number(response.headers.get('content-length'))).toBe(bytes.length)
    const etag = response.headers.get('etag') as string
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await api.call('get', body.urls['400'], { headers: { 'if-none-match': tag } })
      expect([again.status, again.body]).toEqual([304, ''])
    }
    expect(await api.call('get', body.urls['400'], { headers: { 'if-none-match': '"other"' } })).toMatchObject({
      status: 200,
    })
  })

  it.each([
    '/images/x',
    `/images/${'0'.repeat(32)}-400.webp`,
    `/images/${'0'.repeat(32)}-999.webp`,
    '/images/..%2f..%2fpackage.json',
    '/images/%2e%2e%2fpackage.json',
  ])('knows no %s', async (path) => expect(await api.call('get', path)).toMatchObject({ status: 404 }))
})

describe('the pictures of a product', () => {
  it('change their text and their order under the ETag of the product', async () => {
    const id = await product()
    const made: string[] = []
    for (let n = 0; n < 3; n++)
      made.push((await upload(id, await picture(40, 40).png().toBuffer(), 'image/png')).body.id)
    const patch = (image: string, body: object, tag?: string) =>
      api.call('patch', `/v1/admin/products/${id}/images/${image}`, {
        key: staff,
        body,
        headers: tag === undefined ? {} : { 'if-match': tag },
      })
    expect(await patch(made[2] as string, { position: 0 })).toMatchObject({ status: 428 })
    expect(await patch(made[2] as string, { position: 0 }, '"1"')).toMatchObject({ status: 412 })
    const moved = await patch(made[2] as string, { position: 0, alt: 'The back' }, '"4"')
    expect(moved).toMatchObject({ status: 200, body: { id: made[2], alt: 'The back' } })
    expect(moved.headers.get('etag')).toBe('"5"')
    expect(await order(id)).toEqual([made[2], made[0], made[1]])
    await patch(made[2] as string, { position: 49 }, '"5"')
    expect(await order(id)).toEqual([made[0], made[1], made[2]])
    expect(await patch(made[0] as string, { position: -1 }, '"6"')).toMatchObject({ status: 400 })
    expect(await patch('img_01h455vb4pex5vsknk084sn02q', { alt: 'x' }, '*')).toMatchObject({ status: 404 })
  })

  it('answer each change with the ETag that it made, whoever changes the product at the same time', async () => {
    const id = await product()
    const { body } = await upload(id, await picture(40, 40).png().toBuffer(), 'image/png')
    const changes = Array.from({ length: 20 }, (_, n) =>
      api.call('patch', `/v1/admin/products/${id}/images/${body.id}`, {
        key: staff,
        body: { alt: `Text ${n}` },
        headers: { 'if-match': '*' },
      }),
    )
    const answers = await Promise.all(changes)
    expect(answers.map((answer) => answer.body.alt)).toEqual(answers.map((_, n) => `Text ${n}`))
    expect(new Set(answers.map(({ headers }) => headers.get('etag'))).size).toBe(20)
  })

  it('are taken off under the ETag of the product, or whatever has become of it', async () => {
    const id = await product()
    const [first, second] = [
      await upload(id, await picture(40, 40).png().toBuffer(), 'image/png'),
      await upload(id, await picture(60, 40).png().toBuffer(), 'image/png'),
    ]
    const remove = (image: string, headers: Record<string, string> = {}) =>
      api.call('delete', `/v1/admin/products/${id}/images/${image}`, { key: staff, headers })
    const stale = await remove(first.body.id, { 'if-match': '"2"' })
    expect(stale).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    expect(await order(id)).toEqual([first.body.id, second.body.id])
    expect(await remove(first.body.id, { 'if-match': '"3"' })).toMatchObject({ status: 204 })
    expect(await remove(second.body.id)).toMatchObject({ status: 204 })
  })

  it('go, and their files with the last product that has them', async () => {
    const [one, other] = [await product(), await product()]
    const bytes = await picture(70, 70).png().toBuffer()
    const first = await upload(one, bytes, 'image/png')
    const second = await upload(other, bytes, 'image/png')
    const remove = (id: string, image: string) =>
      api.call('delete', `/v1/admin/products/${id}/images/${image}`, { key: staff })
    expect(await remove(one, second.body.id)).toMatchObject({ status: 404 })
    expect(await remove(one, first.body.id)).toMatchObject({ status: 204 })
    expect(await order(one)).toEqual([])
    expect((await fetchImage(first.body.urls['800'])).response.status).toBe(200)
    expect(await remove(other, second.body.id)).toMatchObject({ status: 204 })
    expect((await fetchImage(first.body.urls['800'])).response.status).toBe(404)
  })
})

it('a store that fails is said, and costs no more than the pictures', async () => {
  const broken = await startApi({ IMAGE_STORE: '/dev/null/images' })
  const key = await broken.key('catalog')
  await seedProducts(broken.database.pool, [{ sku: 'X', title: 'X', prices: { GBP: 1 }, stock: 1 }])
  const { rows } = await broken.database.pool.query("select product_id from variant where sku = 'X'")
  const posted = await broken.call('post', `/v1/admin/products/${rows[0].product_id}/images`, {
    key,
    raw: await picture(20, 20).png().toBuffer(),
    headers: { 'content-type': 'image/png' },
  })
  expect(posted).toMatchObject({ status: 503, body: { code: 'unavailable', dependency: 'images' } })
  expect(await broken.call('get', `/images/${'0'.repeat(32)}-400.webp`)).toMatchObject({ status: 503 })
  expect(await broken.call('get', '/v1/store/products')).toMatchObject({
    status: 200,
    body: { data: [{ image_urls: [] }] },
  })
  await broken.close()
})

it('every listed status has been seen', () =>
  // 408 by the raw upload above; 409 is that of every idempotency key (test/db/platform/idempotency.test.ts).
  expect(api.unseen('Images')).toEqual([
    'post /v1/admin/products/{id}/images 408',
    'post /v1/admin/products/{id}/images 409',
  ]))

async function order(id: string): Promise<string[]> {
  const { body } = await api.call('get', `/v1/admin/products/${id}`, { key: staff })
  return body.images.map((image: { id: string }) => image.id)
}

const PNG = Buffer.from('89504e470d0a1a0a', 'hex')

/** A PNG of some hundred bytes whose header says that it is this large. */
function bomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    PNG,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1_000))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
