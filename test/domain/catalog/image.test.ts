import { IMAGE_FILE_PATTERN, IMAGE_WIDTHS, imageFile, imageTypeOf } from '../../../domain/catalog/image'

describe('imageTypeOf', () => {
  it.each([
    ['ffd8ffe0', 'image/jpeg'],
    ['89504e470d0a1a0a', 'image/png'],
    ['52494646000000005745425056503820', 'image/webp'],
    ['474946383961', 'image/gif'],
    ['474946383861', null],
    ['524946460000000057415645', null],
    ['ffd8', null],
    ['', null],
    [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg">').toString('hex'), null],
    [Buffer.from('%PDF-1.7').toString('hex'), null],
  ])('%s is %s', (hex, type) => expect(imageTypeOf(Buffer.from(hex, 'hex'))).toBe(type))
})

it('files of a picture fit the pattern, and nothing that climbs out of a folder does', () => {
  for (const width of IMAGE_WIDTHS)
    expect(imageFile('0123456789abcdef0123456789abcdef', width)).toMatch(IMAGE_FILE_PATTERN)
  for (const name of ['../etc/passwd', 'a-400.webp', `${'0'.repeat(32)}-401.webp`, `${'0'.repeat(32)}-400.webp\n`])
    expect(name).not.toMatch(IMAGE_FILE_PATTERN)
})
