import fc from 'fast-check'
import {
  type AttributeDefinition,
  attributeFromText,
  type Described,
  faultsOf,
  inherit,
} from '../../../domain/catalog/attribute'

describe('an attribute', () => {
  it.each([
    ['text', 'red', true],
    ['text', ['red', 'blue'], true],
    ['text', 5, false],
    ['text', true, false],
    ['number', 2.5, true],
    ['number', '2.5', false],
    ['number', Number.NaN, false],
    ['boolean', false, true],
    ['boolean', 'false', false],
    ['enum', 'S', true],
    ['enum', ['S', 'L'], true],
    ['enum', [], true],
    ['enum', 'XXL', false],
    ['enum', ['S', 'XXL'], false],
    ['enum', 1, false],
  ] as const)('of type %s as %j fits: %s', (type, value, fits) => {
    const definition = defined('size', { type, options: type === 'enum' ? ['S', 'L'] : [] })
    expect(faultsOf(product({ size: value }), [[definition]])).toHaveLength(fits ? 0 : 1)
  })

  it('may be called like something that every object has', () => {
    expect(faultsOf(product({}), [[defined('constructor')]])).toEqual([])
    expect(faultsOf(product({}), [[defined('constructor', { required: true })]])).toHaveLength(1)
  })

  it('that nobody defines is free', () => {
    expect(faultsOf(product({ anything: 1, other: ['x'] }), [[defined('size')]])).toEqual([])
  })

  it('that is required may stand on the product or on each of its variants', () => {
    const schema = [[defined('size', { required: true })]]
    expect(faultsOf(product({ size: 'S' }, [{}]), schema)).toEqual([])
    expect(faultsOf(product({}, [{ size: 'S' }, { size: 'L' }]), schema)).toEqual([])
    for (const lacking of [product({}), product({}, [{ size: 'S' }, {}])]) {
      expect(faultsOf(lacking, schema)).toEqual([
        { pointer: '/attributes/size', code: 'attribute_required', message: 'size is required in this category.' },
      ])
    }
  })

  it('that is wrong is named by its pointer, each one, on the variants too', () => {
    const schema = [[defined('size', { type: 'enum', options: ['S'] }), defined('pieces', { type: 'number' })]]
    const wrong = product({ size: 'X', pieces: 'six' }, [{}, { size: 'Y' }])
    expect(faultsOf(wrong, schema).map(({ pointer, code }) => [pointer, code])).toEqual([
      ['/attributes/size', 'attribute_option'],
      ['/variants/1/attributes/size', 'attribute_option'],
      ['/attributes/pieces', 'attribute_type'],
    ])
  })

  it('of a variant that the request does not name is told by its SKU', () => {
    const stored = { attributes: {}, variants: [{ sku: 'A-1', attributes: { size: 5 }, index: null }] }
    expect(faultsOf(stored, [[defined('size')]])).toEqual([
      expect.objectContaining({ pointer: '/attributes/size', message: expect.stringContaining('A-1') }),
    ])
  })

  it('must fit every category of its product', () => {
    const schemas = [[defined('size')], [defined('size', { type: 'number' })]]
    expect(faultsOf(product({ size: 'S' }), schemas)).toHaveLength(1)
    expect(faultsOf(product({ size: 5 }), schemas)).toHaveLength(1)
  })
})

it('is inherited, and of two with one name the nearer one counts', () => {
  const [far, near, other] = [defined('size'), defined('size', { type: 'number' }), defined('color')]
  expect(inherit([far, other, near])).toEqual([near, other])
})

it('a cell that fits its definition passes the check once it is read', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.boolean(), (number, yes) => {
      const text = number.toFixed(4)
      const definitions = [defined('n', { type: 'number' }), defined('b', { type: 'boolean' })] as const
      const attributes = {
        n: attributeFromText(text, definitions[0]),
        b: attributeFromText(String(yes).toUpperCase(), definitions[1]),
      }
      expect(attributes.n).toBeCloseTo(number, 3)
      expect(faultsOf(product(attributes), [definitions])).toEqual([])
    }),
  )
  expect(attributeFromText('1e3', defined('n', { type: 'number' }))).toBe('1e3')
  expect(attributeFromText('12', undefined)).toBe('12')
})

function defined(name: string, given: Partial<AttributeDefinition> = {}): AttributeDefinition {
  return { name, label: name, type: 'text', required: false, filterable: false, options: [], unit: null, ...given }
}

function product(
  attributes: Readonly<Record<string, unknown>>,
  variants: readonly Readonly<Record<string, unknown>>[] = [],
): Described {
  return {
    attributes,
    variants: variants.map((own, index) => ({ sku: `V${index}`, attributes: own, index })),
  }
}
