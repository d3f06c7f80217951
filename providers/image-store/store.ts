/** Where the files of pictures are kept. Names are `domain/catalog/image.ts`'s; a file never changes once it is there. */
export interface ImageStore {
  readonly name: string
  /** Keeps it durably: a reader sees all of the file or none. Repeated, it changes nothing. */
  put(file: string, bytes: Buffer): Promise<void>
  /** Null: there is none. Throws when the store cannot be asked. */
  get(file: string): Promise<Buffer | null>
  /** Tolerates that it was never there. */
  delete(file: string): Promise<void>
}

/** The store did not answer, or refused. */
export class ImageStoreError extends Error {
  override readonly name = 'ImageStoreError'
}
