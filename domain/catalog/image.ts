/** The widths that pictures are kept in; a smaller picture stays as small as it is. */
export const IMAGE_WIDTHS = [400, 800, 1_600] as const
export type ImageWidth = (typeof IMAGE_WIDTHS)[number]

export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif'] as const
export type ImageType = (typeof IMAGE_TYPES)[number]

export const IMAGE_BYTES_MAX = 20 * 2 ** 20
/** A file of some kilobytes can say that it is a hundred thousand pixels wide: what it takes unpacked is what counts. */
export const IMAGE_PIXELS_MAX = 50_000_000
export const IMAGE_SIDE_MAX = 16_384
export const IMAGES_PER_PRODUCT_MAX = 50

/** The files of a picture; nothing else is ever asked of a store. */
export const IMAGE_FILE_PATTERN = /^[0-9a-f]{32}-(?:400|800|1600)\.webp$/

export function imageFile(name: string, width: ImageWidth): string {
  return `${name}-${width}.webp`
}

/** Where the API serves it. */
export function imagePath(name: string, width: ImageWidth): string {
  return `/images/${imageFile(name, width)}`
}

/** What the first bytes say that a file is, whatever it is called. */
export function imageTypeOf(bytes: Uint8Array): ImageType | null {
  const text = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to))
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'image/jpeg'
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'image/png'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'image/webp'
  if (/^GIF8[79]a$/.test(text(0, 6))) return 'image/gif'
  return null
}
