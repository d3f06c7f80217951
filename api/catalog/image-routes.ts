import { createHash } from 'node:crypto'
import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { findImage } from '../../db/catalog/image/read'
import { addImage, deleteImage, requireProduct, updateImage } from '../../db/catalog/image/write'
import { type Db, withTransaction } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { ImageId, ProductId } from '../../domain/ids'
import { IMAGE_FILE_PATTERN, IMAGE_TYPES, IMAGES_PER_PRODUCT_MAX } from '../../domain/catalog/image'
import { announceProduct } from './announce'
import { etagOf, ifMatch, ifMatchIfGiven, matchesEtag } from '../http/etag'
import { deleteLeftFiles, withStoredFiles } from './image-files'
import { withUploadSlot, makePicture, readPicture } from './image-upload'
import { presentImage, productImage } from './image-answer'
import { defineRoute, type Route } from '../http/route'
import { idOf, pathId } from '../http/schemas'

const alt = z.string().trim().max(500).meta({ description: 'what it shows, for who cannot see it' })
const imageParams = z.object({ id: idOf('product'), image_id: idOf('image') })

const postImage = defineRoute({
  method: 'post',
  path: '/v1/admin/products/{id}/images',
  tag: 'Images',
  summary: 'Add a picture to a product',
  description:
    'The body is the file itself: JPEG, PNG, WebP or GIF (its first frame), up to 20 MiB and 50 million pixels. It is judged ' +
    'by its content, turned upright, stripped of its metadata, and kept as WebP of 400, 800 and 1600 pixels at the longest ' +
    'side. A picture that the product has already is answered as it is.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('product'),
  query: z.strictObject({ alt: alt.default('') }),
  body: { raw: 'stream', mediaType: IMAGE_TYPES },
  answers: {
    200: productImage,
    201: productImage,
    408: ['request_timeout'],
    409: ['request_in_progress'],
    413: ['body_too_large'],
    422: ['image_invalid', 'image_too_large', 'image_limit', 'idempotency_key_reused'],
  },
}).handle(async ({ params, query, body, headers, idempotency, log }, deps) =>
  withUploadSlot(async () => {
    const { pool, images, settings } = deps
    await requireProduct(pool, params.id)
    const bytes = await readPicture(body, {
      contentLength: Number(headers['content-length'] ?? 0),
      silenceMs: settings.REQUEST_TIMEOUT_MS,
    })
    const picture = await makePicture(bytes, mediaTypeOf(headers['content-type']))
    const { name, width, height } = picture
    const key = idempotency && { ...idempotency, bodyHash: createHash('sha256').update(bytes).digest() }
    const answer = await withStoredFiles(picture, { pool, images, log }, (lease) =>
      withIdempotency(
        pool,
        key,
        async (tx) => {
          const { id, made } = await addImage(tx, params.id, { name, width, height, alt: query.alt }, lease)
          return { status: made ? 201 : 200, resource: id }
        },
        (id, db) => presentById(params.id, id, db),
      ),
    )
    await announceProduct(deps, params.id)
    await deleteLeftFiles({ pool, images, log })
    return answer.status === 201 ? { ...answer, status: 201 } : { ...answer, status: 200 }
  }),
)

const patchImage = defineRoute({
  method: 'patch',
  path: '/v1/admin/products/{id}/images/{image_id}',
  tag: 'Images',
  summary: "Change a picture's text, or its place among the product's",
  description: "Takes the product's ETag in `If-Match` and answers the new one.",
  caller: { admin: 'catalog', access: 'write' },
  params: imageParams,
  body: z.strictObject({
    alt: alt.optional(),
    position: z
      .int()
      .min(0)
      .max(IMAGES_PER_PRODUCT_MAX - 1)
      .optional()
      .meta({ description: '0 is the first, which lists show' }),
  }),
  answers: { 200: productImage, 412: ['precondition_failed'], 428: ['precondition_required'] },
}).handle(async ({ params: { id: productId, image_id: id }, body: patch, headers }, deps) => {
  const mayChange = ifMatch(headers)
  // Read before the commit: what is answered is what this version has, whoever changes the product next.
  const { version, body } = await withTransaction(deps.pool, async (tx) => ({
    version: await updateImage(tx, { productId, id, mayChange, patch }),
    body: await presentById(productId, id, tx),
  }))
  await announceProduct(deps, productId)
  return { status: 200, body, headers: { ETag: etagOf(version) } }
})

const deleteImageRoute = defineRoute({
  method: 'delete',
  path: '/v1/admin/products/{id}/images/{image_id}',
  tag: 'Images',
  summary: 'Take a picture off a product',
  description:
    "With the product's ETag in `If-Match` only if nobody has changed the product since. Its files go when no other product has " +
    'the same picture; caches may show them for a year.',
  caller: { admin: 'catalog', access: 'write' },
  params: imageParams,
  answers: { 204: null, 412: ['precondition_failed'] },
}).handle(async ({ params, headers, log }, deps) => {
  const { pool, images } = deps
  const mayChange = ifMatchIfGiven(headers)
  await withTransaction(pool, (tx) => deleteImage(tx, { productId: params.id, id: params.image_id, mayChange }))
  await announceProduct(deps, params.id)
  await deleteLeftFiles({ pool, images, log })
  return { status: 204 }
})

const getImage = defineRoute({
  method: 'get',
  path: '/images/{name}',
  tag: 'Images',
  summary: 'Read a picture',
  description: 'Its name is a digest of it: what is under a name never changes, and may be kept for ever.',
  caller: 'anyone',
  params: z.object({ name: z.string().regex(IMAGE_FILE_PATTERN) }),
  answers: { 200: { mediaType: 'image/webp' }, 304: null, 503: ['unavailable'] },
}).handle(async ({ params: { name }, headers }, { images }) => {
  const kept = { ETag: `"${name}"`, 'Cache-Control': 'public, max-age=31536000, immutable' }
  if (matchesEtag(headers['if-none-match'], kept.ETag)) return { status: 304, headers: kept }
  const bytes = await images.get(name)
  if (!bytes) throw new DomainError('not_found', 'There is no such picture.')
  return {
    status: 200,
    headers: {
      ...kept,
      'Content-Length': String(bytes.length),
      // Storefronts of other origins show them.
      'Cross-Origin-Resource-Policy': 'cross-origin',
    },
    send: (response) => void response.end(bytes),
  }
})

export const imageRoutes: readonly Route[] = [getImage, postImage, patchImage, deleteImageRoute]

async function presentById(productId: ProductId, id: ImageId, db: Db): Promise<z.input<typeof productImage>> {
  const found = await findImage(db, productId, id)
  if (!found) throw new DomainError('not_found', 'The product has no such picture.')
  return presentImage(found)
}

/** The dispatcher has let it through: it is one of ours. */
function mediaTypeOf(header: string | undefined): string {
  return (header ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}
