import type { ImageId, ProductId } from '../../../domain/ids'
import type { Db } from '../../pool'

/** A picture of a product. Its files are named after `name`, a digest of the picture itself. */
export interface ProductImage {
  readonly id: ImageId
  readonly name: string
  readonly alt: string
  /** Of the largest file. */
  readonly width: number
  readonly height: number
}

/** The pictures of a product `p`, in order. */
export const PRODUCT_IMAGES = `
  coalesce((
    select jsonb_agg(jsonb_build_object('id', i.id, 'name', i.name, 'alt', i.alt, 'width', i.width, 'height', i.height)
                     order by i.position, i.id)
    from product_image i
    where i.product_id = p.id
  ), '[]'::jsonb)`

export async function findImage(db: Db, productId: ProductId, id: ImageId): Promise<ProductImage | null> {
  const { rows } = await db.query<ProductImage>({
    name: 'image.find',
    text: 'select id, name, alt, width, height from product_image where product_id = $1 and id = $2',
    values: [productId, id],
  })
  return rows[0] ?? null
}
