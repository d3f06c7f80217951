import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings } from '../../config'
import { createImageStore, type ImageStore, ImageStoreError } from '../../providers/image-store'
import { signV4 } from '../../providers/image-store/s3'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const file = (n: number): string => `${String(n).padStart(32, '0')}-800.webp`

let bucket: StubBucket
const folder = mkdtempSync(join(tmpdir(), 'holdfast-store-'))
beforeAll(async () => (bucket = await startBucket()))
afterAll(() => {
  bucket.server.close()
  rmSync(folder, { recursive: true, force: true })
})

const storeAt = (place: string, secret = SECRET): ImageStore =>
  createImageStore(
    readSettings({
      IMAGE_STORE: place,
      S3_REGION: 'eu-west-1',
      S3_ACCESS_KEY_ID: 'AKID',
      S3_SECRET_ACCESS_KEY: secret,
    }),
  )

describe.each([
  ['disk', () => storeAt(folder)],
  ['s3', () => storeAt(`${bucket.url}/pictures/shop/`)],
])('the store %s', (name, open) => {
  it('keeps what it is given, byte for byte, and forgets what it is told to', async () => {
    const store = open()
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, n) => (n * 31) % 256))
    expect(store.name).toBe(name)
    expect(await store.get(file(1))).toBeNull()
    await store.put(file(1), bytes)
    await store.put(file(1), bytes)
    expect((await store.get(file(1)))?.equals(bytes)).toBe(true)
    await store.delete(file(1))
    expect(await store.get(file(1))).toBeNull()
    await store.delete(file(1))
  })

  it('keeps all of many written at once', async () => {
    const store = open()
    await Promise.all(Array.from({ length: 20 }, (_, n) => store.put(file(n % 5), Buffer.alloc(10_000, n % 5))))
    for (let n = 0; n < 5; n++) expect(await store.get(file(n))).toEqual(Buffer.alloc(10_000, n))
  })
})

it('the disk leaves nothing half written', () => {
  const left = readdirSync(folder, { recursive: true }).filter((name) =>
    String(name).split('/').at(-1)?.startsWith('.'),
  )
  expect(left).toEqual([])
})

describe('s3', () => {
  it('puts objects into the folder of the bucket, as WebP', () => {
    expect([...bucket.objects.keys()].toSorted()[0]).toBe(`/pictures/shop/${file(0)}`)
    expect(new Set(bucket.types)).toEqual(new Set(['image/webp']))
  })

  it('says that it failed: a wrong secret, nobody there', async () => {
    await expect(storeAt(`${bucket.url}/pictures`, 'wrong').put(file(9), Buffer.from('x'))).rejects.toThrow(
      new ImageStoreError('The bucket answered PUT with 403.'),
    )
    await expect(storeAt('http://127.0.0.1:1/pictures').get(file(9))).rejects.toThrow(ImageStoreError)
  })

  it('signs as Amazon shows it ("Authenticating Requests: Using the Authorization Header", GET Object)', () => {
    const signed = signV4(
      {
        method: 'GET',
        url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'),
        headers: { range: 'bytes=0-9' },
        body: Buffer.alloc(0),
        now: new Date('2013-05-24T00:00:00Z'),
      },
      {
        region: 'us-east-1',
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      },
    )
    expect(signed['authorization']).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
        'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, ' +
        'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    )
  })
})

interface StubBucket {
  readonly server: Server
  readonly url: string
  readonly objects: Map<string, Buffer>
  readonly types: (string | undefined)[]
}

/** A bucket that takes nothing whose signature, digest or time is wrong. It computes the signature in its own way. */
async function startBucket(): Promise<StubBucket> {
  const objects = new Map<string, Buffer>()
  const types: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces)
      const path = request.url ?? ''
      if (!isSigned(request, body)) response.statusCode = 403
      else if (request.method === 'PUT') {
        objects.set(path, body)
        types.push(request.headers['content-type'])
      } else if (!objects.has(path)) response.statusCode = 404
      else if (request.method === 'DELETE') {
        objects.delete(path)
        response.statusCode = 204
      } else response.write(objects.get(path))
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects, types }
}

function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const given =
    /^AWS4-HMAC-SHA256 Credential=AKID\/(\d{8})\/eu-west-1\/s3\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    )
  if (!given) return false
  const [, day = '', names = '', signature] = given
  const time = String(request.headers['x-amz-date'])
  const digest = createHash('sha256').update(body).digest('hex')
  const required = ['host', 'x-amz-content-sha256', 'x-amz-date']
  if (!required.every((name) => names.split(';').includes(name))) return false
  if (!time.startsWith(day) || request.headers['x-amz-content-sha256'] !== digest) return false
  if (
    Math.abs(Date.parse(time.replace(/(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)/, '$1-$2-$3:$4:$5')) - Date.now()) > 900_000
  ) {
    return false
  }
  const headers = names.split(';').map((name) => `${name}:${request.headers[name]}\n`)
  const canonical = `${request.method}\n${request.url}\n\n${headers.join('')}\n${names}\n${digest}`
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${day}/eu-west-1/s3/aws4_request\n${createHash('sha256').update(canonical).digest('hex')}`
  const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = mac(mac(mac(mac(`AWS4${SECRET}`, day), 'eu-west-1'), 's3'), 'aws4_request')
  return mac(key, toSign).toString('hex') === signature
}
