import { setTimeout as pause } from 'node:timers/promises'
import {
  endImageLease,
  type ImageLease,
  isImageUnused,
  takeEndedLeases,
  takeImageLease,
} from '../../db/catalog/image/lease'
import type { Pool } from '../../db/pool'
import { IMAGE_WIDTHS, imageFile } from '../../domain/catalog/image'
import { DomainError } from '../../domain/errors'
import type { Log } from '../../log'
import type { ImageStore } from '../../providers/image-store'
import type { Picture } from './image-upload'

/** Longer than a lease: a process that dies with one makes others wait, and refuses nobody. */
const WAIT_MS = 12_000
const LOOK_MS = 50
/** The lease stays, too: whoever stores or deletes a picture after its end tries again. */
const STAYS = 'the files of a picture that no product has stay for now'

interface FileDeps {
  readonly pool: Pool
  readonly images: ImageStore
  readonly log: Log
}

/**
 * Writes the files of a picture, then runs `work`, which names them in a row and ends the lease. They are there before
 * anybody is told of them, and nobody deletes them meanwhile. When `work` does not name them, they go.
 */
export async function withStoredFiles<T>(
  { name, files }: Pick<Picture, 'name' | 'files'>,
  deps: FileDeps,
  work: (lease: ImageLease) => Promise<T>,
): Promise<T> {
  const lease = await waitForLease(name, deps.pool)
  try {
    await Promise.all([...files].map(([width, bytes]) => deps.images.put(imageFile(name, width), bytes)))
    return await work(lease)
  } finally {
    await settle(lease, deps).catch((error: unknown) => deps.log.warn({ err: error, image: name }, STAYS))
  }
}

/** Deletes files that no product names: those of pictures that were taken off, and what killed processes have left. */
export async function deleteLeftFiles({ log, ...deps }: FileDeps): Promise<void> {
  try {
    const leases = await takeEndedLeases(deps.pool)
    await Promise.all(leases.map((lease) => settle(lease, deps)))
  } catch (error) {
    log.warn({ err: error }, STAYS)
  }
}

async function waitForLease(name: string, pool: Pool): Promise<ImageLease> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    const lease = await takeImageLease(pool, name)
    if (lease) return lease
    if (Date.now() > deadline) {
      throw new DomainError('unavailable', 'Somebody else is storing this picture. Try again in a moment.', {
        dependency: 'images',
        retry_after: 5,
      })
    }
    await pause(LOOK_MS)
  }
}

async function settle(lease: ImageLease, { pool, images }: Omit<FileDeps, 'log'>): Promise<void> {
  if (!(await isImageUnused(pool, lease))) return
  await Promise.all(IMAGE_WIDTHS.map((width) => images.delete(imageFile(lease.name, width))))
  await endImageLease(pool, lease)
}
