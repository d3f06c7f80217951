import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT, type Settings } from '../../config'
import { guarded } from '../../transaction-guard'
import { diskImageStore } from './disk'
import { s3ImageStore } from './s3'
import type { ImageStore } from './store'

export { type ImageStore, ImageStoreError } from './store'

type StoreSettings = Pick<Settings, 'IMAGE_STORE' | 'S3_REGION' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY'>

/** The store that the settings name: a folder, or the address of a bucket. */
export function createImageStore(settings: StoreSettings): ImageStore {
  return guarded(storeAt(settings), 'the image store')
}

function storeAt(settings: StoreSettings): ImageStore {
  const place = settings.IMAGE_STORE
  if (/^https?:/.test(place)) {
    return s3ImageStore({
      url: new URL(place),
      region: settings.S3_REGION,
      accessKeyId: settings.S3_ACCESS_KEY_ID,
      secretAccessKey: settings.S3_SECRET_ACCESS_KEY,
    })
  }
  const folder = place.startsWith('file:///') ? fileURLToPath(place) : place
  return diskImageStore(isAbsolute(folder) ? folder : join(ROOT, folder))
}
