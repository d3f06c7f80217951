import { createHash, createHmac } from 'node:crypto'
import { type ImageStore, ImageStoreError } from './store'

export interface Bucket {
  /** With the bucket, and a folder in it if wanted: `https://s3.eu-west-1.amazonaws.com/bucket/folder`. */
  readonly url: URL
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const DEADLINE_MS = 5_000

/** A bucket that speaks S3's REST: PUT, GET and DELETE of objects, signed with AWS Signature Version 4. */
export function s3ImageStore(bucket: Bucket): ImageStore {
  async function send(method: string, file: string, body?: Buffer): Promise<Response> {
    const url = new URL(bucket.url)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${file}`
    const headers: Record<string, string> = body ? { 'content-type': 'image/webp' } : {}
    const signed = signV4({ method, url, headers, body: body ?? Buffer.alloc(0), now: new Date() }, bucket)
    try {
      return await fetch(url, {
        method,
        headers: signed,
        redirect: 'error',
        signal: AbortSignal.timeout(DEADLINE_MS),
        ...(body ? { body: new Uint8Array(body) } : {}),
      })
    } catch (error) {
      throw new ImageStoreError(`The bucket did not answer ${method}.`, { cause: error })
    }
  }

  async function expectOk(method: string, response: Response, ...also: readonly number[]): Promise<void> {
    if (response.ok || also.includes(response.status)) return
    await response.body?.cancel()
    throw new ImageStoreError(`The bucket answered ${method} with ${response.status}.`)
  }

  return {
    name: 's3',
    async put(file, bytes) {
      const response = await send('PUT', file, bytes)
      await expectOk('PUT', response)
      await response.body?.cancel()
    },
    async get(file) {
      const response = await send('GET', file)
      await expectOk('GET', response, 404)
      if (response.status !== 404) return Buffer.from(await response.arrayBuffer())
      await response.body?.cancel()
      return null
    },
    async delete(file) {
      const response = await send('DELETE', file)
      await expectOk('DELETE', response, 404)
      await response.body?.cancel()
    },
  }
}

interface Unsigned {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly now: Date
}

/**
 * The headers of a request with its signature (AWS Signature Version 4, docs.aws.amazon.com/IAM: "Create a signed AWS API
 * request"). Paths here hold nothing that would have to be encoded.
 */
export function signV4(
  { method, url, headers, body, now }: Unsigned,
  { region, accessKeyId, secretAccessKey }: Omit<Bucket, 'url'>,
): Record<string, string> {
  const time = `${now.toISOString().replace(/[-:]|\.\d{3}/g, '')}`
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
  const signed: Record<string, string> = {
    ...headers,
    host: url.host,
    'x-amz-content-sha256': sha256(body),
    'x-amz-date': time,
  }
  const names = Object.keys(signed).sort()
  const canonical = [
    method,
    url.pathname,
    url.searchParams.toString(),
    ...names.map((name) => `${name}:${signed[name]?.trim()}`),
    '',
    names.join(';'),
    signed['x-amz-content-sha256'],
  ].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = scope.split('/').reduce<Buffer | string>((key, part) => hmac(key, part), `AWS4${secretAccessKey}`)
  const { host: _host, ...sent } = signed
  return {
    ...sent,
    authorization:
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, ` +
      `Signature=${hmac(key, text).toString('hex')}`,
  }
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
