import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import sharp from 'sharp'
import { DomainError } from '../../domain/errors'
import {
  IMAGE_BYTES_MAX,
  IMAGE_PIXELS_MAX,
  IMAGE_SIDE_MAX,
  IMAGE_WIDTHS,
  type ImageType,
  type ImageWidth,
  imageTypeOf,
} from '../../domain/catalog/image'
import { piecesOf } from '../http/upload'

// One thread, one picture at a time, nothing kept: an upload takes at most one core beside the requests of shoppers.
sharp.concurrency(1)
sharp.cache(false)
// What is none of our types never reaches its parser: SVG, PDF and the like are programs.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadNsgifBuffer',
  ],
})

/** Uploads in hand at once: their bytes are held in memory. */
const UPLOADS_MAX = 8
const RESIZE_SECONDS_MAX = 15
const QUALITY = 80

/** A picture made ready to be kept. */
export interface Picture {
  /** A digest of its pixels: the same picture has the same name, wherever it is uploaded. */
  readonly name: string
  readonly width: number
  readonly height: number
  readonly files: ReadonlyMap<ImageWidth, Buffer>
}

let uploads = 0

/** Runs `work` unless so many uploads are in hand that another would take memory from shoppers. */
export async function withUploadSlot<T>(work: () => Promise<T>): Promise<T> {
  if (uploads >= UPLOADS_MAX) {
    throw new DomainError('unavailable', 'Too many pictures are being uploaded. Try again in a moment.', {
      dependency: 'images',
      retry_after: 5,
    })
  }
  uploads++
  try {
    return await work()
  } finally {
    uploads--
  }
}

/** The bytes of an upload. Throws `body_too_large`, and `request_timeout` when nothing comes for `silenceMs`. */
export async function readPicture(
  body: Readable,
  { contentLength, silenceMs }: { contentLength: number; silenceMs: number },
): Promise<Buffer> {
  if (contentLength > IMAGE_BYTES_MAX) throw pictureTooLarge()
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of piecesOf(body, silenceMs)) {
    length += piece.length
    if (length > IMAGE_BYTES_MAX) throw pictureTooLarge()
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}

/**
 * Turns an upload into its WebP files: upright, without metadata (where and when it was taken stays with who took it),
 * never enlarged. Of an animation the first frame.
 * Throws `unsupported_media_type` when the bytes are not what `type` says, `image_invalid`, `image_too_large`.
 */
export async function makePicture(bytes: Buffer, type: string): Promise<Picture> {
  requireType(bytes, type)
  await requireSize(bytes)
  return resizeQueue(() => resize(bytes))
}

function requireType(bytes: Buffer, type: string): void {
  const actual: ImageType | null = imageTypeOf(bytes)
  if (actual === type) return
  throw new DomainError(
    'unsupported_media_type',
    actual === null ? 'These bytes are no JPEG, PNG, WebP or GIF.' : `This is ${actual}, not ${type}.`,
  )
}

/** Judged by what its header says, before a pixel is unpacked. */
async function requireSize(bytes: Buffer): Promise<void> {
  const { width, height } = await readable(sharp(bytes, { limitInputPixels: false }).metadata())
  if (width <= IMAGE_SIDE_MAX && height <= IMAGE_SIDE_MAX && width * height <= IMAGE_PIXELS_MAX) return
  throw new DomainError(
    'image_too_large',
    `It is ${width} × ${height} pixels: at most ${IMAGE_SIDE_MAX} a side and ${IMAGE_PIXELS_MAX} in all.`,
    { width, height },
  )
}

async function resize(bytes: Buffer): Promise<Picture> {
  const [largest] = IMAGE_WIDTHS.toReversed() as [ImageWidth]
  const { data, info } = await readable(
    sharp(bytes, { limitInputPixels: IMAGE_PIXELS_MAX, failOn: 'error', sequentialRead: true })
      .timeout({ seconds: RESIZE_SECONDS_MAX })
      .autoOrient()
      .resize(largest, largest, { fit: 'inside', withoutEnlargement: true })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  )
  const { width, height, channels } = info
  const files = new Map<ImageWidth, Buffer>()
  for (const side of IMAGE_WIDTHS) {
    const small = sharp(data, { raw: { width, height, channels } }).timeout({ seconds: RESIZE_SECONDS_MAX })
    files.set(
      side,
      await small
        .resize(side, side, { fit: 'inside', withoutEnlargement: true })
        .webp({ quality: QUALITY, effort: 3 })
        .toBuffer(),
    )
  }
  const hash = createHash('sha256')
  for (const file of files.values()) hash.update(file)
  return { name: hash.digest('hex').slice(0, 32), width, height, files }
}

async function readable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch {
    // What libvips says names files and lines of its own: nothing for callers.
    throw new DomainError('image_invalid', 'The file is broken or ends early.')
  }
}

/** Runs one after another what it is given. */
function serialQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => undefined)
    return next
  }
}

const resizeQueue = serialQueue()

function pictureTooLarge(): DomainError {
  return new DomainError('body_too_large', 'A picture holds at most 20 MiB.')
}
