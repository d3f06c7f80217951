import { CATEGORY_DEPTH_MAX, categoryPath, categorySlug } from '../../../domain/catalog/category'

describe('a category path', () => {
  it.each([
    ['Kitchen', [['kitchen', 'Kitchen']]],
    [
      ' Kitchen / Mugs & Cups ',
      [
        ['kitchen', 'Kitchen'],
        ['kitchen-mugs-cups', 'Mugs & Cups'],
      ],
    ],
    [
      'Home/Gifts/Mugs',
      [
        ['home', 'Home'],
        ['home-gifts', 'Gifts'],
        ['home-gifts-mugs', 'Mugs'],
      ],
    ],
  ])('%j is understood', (text, steps) => {
    expect(categoryPath(text)?.map(({ slug, title }) => [slug, title])).toEqual(steps)
  })

  it.each([
    '',
    '/',
    'Kitchen/',
    '/Mugs',
    'a//b',
    'x'.repeat(101),
    Array(CATEGORY_DEPTH_MAX + 1)
      .fill('a')
      .join('/'),
  ])('%j is none', (text) => expect(categoryPath(text)).toBeNull())

  it('of long titles has slugs that differ and are none too long', () => {
    const path = categoryPath(Array(CATEGORY_DEPTH_MAX).fill('x'.repeat(100)).join('/')) ?? []
    expect(new Set(path.map(({ slug }) => slug)).size).toBeGreaterThan(1)
    expect(path.every(({ slug }) => slug.length <= 100)).toBe(true)
    expect(path[0]?.slug).not.toBe(path[1]?.slug)
  })

  it('has the slug that a category made by hand at its place gets', () => {
    expect(categorySlug('Mugs', categorySlug('Kitchen'))).toBe(categoryPath('Kitchen/Mugs')?.at(-1)?.slug)
  })
})
