import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImageStore, ImageStoreError } from './store'

/** Files in a folder, spread over 256 below it: for one machine, or a disk that all processes share. */
export function diskImageStore(folder: string): ImageStore {
  const folderOf = (file: string): string => join(folder, file.slice(0, 2))

  /** Written beside and renamed: a killed process leaves the whole file or none. */
  async function put(file: string, bytes: Buffer): Promise<void> {
    await mkdir(folderOf(file), { recursive: true })
    const temporary = join(folderOf(file), `.${randomUUID()}`)
    try {
      await writeDurably(temporary, bytes)
      await rename(temporary, join(folderOf(file), file))
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async function get(file: string): Promise<Buffer | null> {
    try {
      return await readFile(join(folderOf(file), file))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  return {
    name: 'disk',
    put: (file, bytes) => named(put(file, bytes)),
    get: (file) => named(get(file)),
    delete: (file) => named(rm(join(folderOf(file), file), { force: true })),
  }
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What the disk says, as what the port says. */
async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new ImageStoreError(`The image folder: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, {
      cause: error,
    })
  }
}
