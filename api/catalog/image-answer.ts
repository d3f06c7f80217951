import { z } from 'zod'
import type { ProductImage } from '../../db/catalog/image/read'
import { IMAGE_WIDTHS, imagePath, type ImageWidth } from '../../domain/catalog/image'
import { idOf } from '../http/schemas'

/** The size that a storefront shows first, in pixels of the longest side. */
const SHOWN_WIDTH: ImageWidth = 800

/** A picture as staff see it: every size. */
export const productImage = z
  .strictObject({
    id: idOf('image'),
    alt: z.string(),
    width: z.int().meta({ description: 'of the largest size' }),
    height: z.int(),
    urls: z
      .record(z.string(), z.string())
      .meta({ description: 'by the longest side in pixels, relative to this API; never enlarged' }),
  })
  .meta({ id: 'ProductImage' })

export function presentImage({ id, alt, width, height, name }: ProductImage): z.input<typeof productImage> {
  const urls = Object.fromEntries(IMAGE_WIDTHS.map((side) => [side, imagePath(name, side)]))
  return { id, alt, width, height, urls }
}

/** The addresses that a storefront shows a product's pictures by. */
export function imageUrls(images: readonly Pick<ProductImage, 'name'>[]): string[] {
  return images.map(({ name }) => imagePath(name, SHOWN_WIDTH))
}
