import { DomainError } from '../../../domain/errors'
import type { ImageId, ProductId } from '../../../domain/ids'
import { IMAGES_PER_PRODUCT_MAX } from '../../../domain/catalog/image'
import { newId } from '../../id'
import type { Db, Tx } from '../../pool'
import { statement } from '../../sql'
import { touchProducts } from '../product'
import { endImageLease, type ImageLease, leaveImageName } from './lease'
import type { ProductImage } from './read'

/**
 * Puts a picture at the end of a product's, once its files are there. `lease` is that of its name, and ends with the commit:
 * until then nobody deletes the files. A picture that the product has already stays as it is.
 * Throws `not_found`, `image_limit`, and `unavailable` when the lease is somebody else's by now.
 */
export async function addImage(
  tx: Tx,
  productId: ProductId,
  picture: Omit<ProductImage, 'id'>,
  lease: ImageLease,
): Promise<{ id: ImageId; made: boolean }> {
  const added = await addTo(tx, productId, picture)
  // Products before names, as when a picture is taken off.
  if (await endImageLease(tx, lease)) return added
  throw new DomainError('unavailable', 'The picture took too long to be stored.', { dependency: 'images' })
}

async function addTo(
  tx: Tx,
  productId: ProductId,
  picture: Omit<ProductImage, 'id'>,
): Promise<{ id: ImageId; made: boolean }> {
  await touchProduct(tx, productId)
  const { rows } = await tx.query<{ id: ImageId }>('select id from product_image where product_id = $1 and name = $2', [
    productId,
    picture.name,
  ])
  if (rows[0]) return { id: rows[0].id, made: false }
  const id = newId('image')
  const { rowCount } = await tx.query(INSERT({ ...picture, id, productId, most: IMAGES_PER_PRODUCT_MAX }))
  if (rowCount !== 1) {
    throw new DomainError('image_limit', `A product has at most ${IMAGES_PER_PRODUCT_MAX} pictures.`)
  }
  return { id, made: true }
}

const INSERT = statement(
  null,
  `
    insert into product_image (id, product_id, name, alt, width, height, position)
    select :id, :productId::typeid, :name, :alt, :width, :height, coalesce(max(position) + 1, 0)
    from product_image
    where product_id = :productId::typeid
    having count(*) < :most`,
)

/** A picture of a product that staff have read before they change it. */
interface ChangedImage {
  readonly productId: ProductId
  readonly id: ImageId
  readonly mayChange: (version: number) => boolean
}

/**
 * Changes a picture's text or its place among the product's, if the product still has a version that `mayChange` accepts.
 * Answers the product's new version. Throws `not_found`, `precondition_failed`.
 */
export async function updateImage(
  tx: Tx,
  {
    productId,
    id,
    mayChange,
    patch,
  }: ChangedImage & { readonly patch: { alt?: string | undefined; position?: number | undefined } },
): Promise<number> {
  await lockProduct(tx, productId, mayChange)
  const { rows } = await tx.query<{ id: ImageId }>(
    'select id from product_image where product_id = $1 order by position, id',
    [productId],
  )
  const order = rows.map((row) => row.id)
  if (!order.includes(id)) throw noImage()
  if (patch.alt !== undefined) await tx.query('update product_image set alt = $2 where id = $1', [id, patch.alt])
  if (patch.position !== undefined) {
    const others = order.filter((other) => other !== id)
    others.splice(patch.position, 0, id)
    await tx.query(
      `update product_image i
       set position = n.position
       from unnest($1::text[]) with ordinality as n (id, position)
       where i.id = n.id`,
      [others],
    )
  }
  return touchProduct(tx, productId)
}

/**
 * Takes a picture off a product, if that still has a version that `mayChange` accepts. Its files, which may still be another
 * product's, are left to whoever takes the leases that have ended. Throws `not_found`, `precondition_failed`.
 */
export async function deleteImage(tx: Tx, { productId, id, mayChange }: ChangedImage): Promise<void> {
  await lockProduct(tx, productId, mayChange)
  await touchProduct(tx, productId)
  const { rows } = await tx.query<{ name: string }>(
    'delete from product_image where product_id = $1 and id = $2 returning name',
    [productId, id],
  )
  if (!rows[0]) throw noImage()
  await leaveImageName(tx, rows[0].name)
}

async function lockProduct(tx: Tx, id: ProductId, mayChange: (version: number) => boolean): Promise<void> {
  const { rows } = await tx.query<{ version: number }>('select version from product where id = $1 for update', [id])
  if (!rows[0]) throw noProduct()
  if (!mayChange(rows[0].version)) {
    throw new DomainError('precondition_failed', 'The product has changed since you read it. Read it again.')
  }
}

/** Answers the version that it has now. Throws `not_found`. */
async function touchProduct(tx: Tx, id: ProductId): Promise<number> {
  const [touched] = await touchProducts(tx, [id])
  if (!touched) throw noProduct()
  return touched.version
}

/** Throws `not_found`. */
export async function requireProduct(db: Db, id: ProductId): Promise<void> {
  const { rows } = await db.query('select 1 from product where id = $1', [id])
  if (rows.length === 0) throw noProduct()
}

function noProduct(): DomainError {
  return new DomainError('not_found', 'There is no product with this id.')
}

function noImage(): DomainError {
  return new DomainError('not_found', 'The product has no such picture.')
}
