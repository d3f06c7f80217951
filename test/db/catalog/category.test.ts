import { ensureCategories, findCategory } from '../../../db/catalog/category'
import {
  createCategory,
  type CategoryInput,
  type CategoryPatch,
  defineAttributes,
  deleteCategory,
  updateCategory,
} from '../../../db/catalog/category-tree'
import { withTransaction } from '../../../db/pool'
import { createProduct, findProduct, updateProduct } from '../../../db/catalog/product'
import { projectDocuments } from '../../../db/search/document'
import { CATEGORY_DEPTH_MAX, categoryPath } from '../../../domain/catalog/category'
import type { CategoryId, ProductId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('the tree', () => {
  it('is made of paths, each category once, also when many ask for it at once', async () => {
    const paths = ['Kitchen/Mugs', 'Kitchen/Plates', 'Home/Gifts/Mugs'].map((text) => categoryPath(text) ?? [])
    await Promise.all(
      Array.from({ length: 8 }, () => withTransaction(database.pool, (tx) => ensureCategories(tx, paths))),
    )
    expect(await outline()).toEqual([
      'home',
      'home > home-gifts',
      'home > home-gifts > home-gifts-mugs',
      'kitchen',
      'kitchen > kitchen-mugs',
      'kitchen > kitchen-plates',
    ])
    const mugs = await findCategory(database.pool, 'home-gifts-mugs')
    expect(mugs?.breadcrumbs.map(({ title }) => title)).toEqual(['Home', 'Gifts', 'Mugs'])
  })

  it('leaves a category that a path names where the merchant has moved it', async () => {
    const kitchen = await create({ title: 'Kitchen' })
    const home = await create({ title: 'Home' })
    await change(kitchen, { parentId: home })
    await withTransaction(database.pool, (tx) => ensureCategories(tx, [categoryPath('Kitchen/Mugs') ?? []]))
    expect(await outline()).toEqual(['home', 'home > kitchen', 'home > kitchen > kitchen-mugs'])
  })

  it('makes what a path names below a category that is as deep as may be beside it', async () => {
    let deepest: CategoryId | null = null
    for (let depth = 1; depth < CATEGORY_DEPTH_MAX; depth++) deepest = await create({ title: 'x', parentId: deepest })
    const kitchen = await create({ title: 'Kitchen' })
    await change(kitchen, { parentId: deepest })
    const id = await product('A', ['Kitchen/Mugs'])
    expect(await findProduct(database.pool, id)).toMatchObject({ categories: [{ slug: 'kitchen-mugs' }] })
    expect(await findCategory(database.pool, 'kitchen-mugs')).toMatchObject({ parentId: deepest })
  })

  it('moves a whole branch, and back to the root', async () => {
    const [a, b] = [await create({ title: 'A' }), await create({ title: 'B' })]
    const c = await create({ title: 'C', parentId: b })
    await create({ title: 'D', parentId: c })
    await change(b, { parentId: a })
    expect(await outline()).toEqual(['a', 'a > b', 'a > b > b-c', 'a > b > b-c > b-c-d'])
    await change(c, { parentId: null })
    expect(await outline()).toEqual(['a', 'a > b', 'b-c', 'b-c > b-c-d'])
  })

  it('refuses a category below itself, a parent that is none, and too deep a tree', async () => {
    const a = await create({ title: 'A' })
    const b = await create({ title: 'B', parentId: a })
    for (const parentId of [a, b])
      await expect(change(a, { parentId })).rejects.toMatchObject({ code: 'category_cycle' })
    await expect(change(a, { parentId: 'cat_01h455vb4pex5vsknk084sn02q' })).rejects.toMatchObject({
      code: 'validation_failed',
      details: { errors: [expect.objectContaining({ pointer: '/parent_id' })] },
    })
    let deepest = b
    for (let depth = 3; depth <= CATEGORY_DEPTH_MAX; depth++) deepest = await create({ title: 'x', parentId: deepest })
    await expect(create({ title: 'x', parentId: deepest })).rejects.toMatchObject({ code: 'category_too_deep' })
    const other = await create({ title: 'Other' })
    await expect(change(a, { parentId: other })).rejects.toMatchObject({ code: 'category_too_deep' })
  })

  it('never gets a cycle, whoever moves what at the same time', async () => {
    const ids: CategoryId[] = []
    for (let index = 0; index < 12; index++) ids.push(await create({ title: `C${index}` }))
    for (let round = 0; round < 5; round++) {
      const tries = await Promise.allSettled(
        ids.map((id, index) => change(id, { parentId: ids[(index * 7 + round + 1) % ids.length] as CategoryId })),
      )
      for (const one of tries) {
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: expect.stringMatching(/^category_/) })
      }
      expect(await wrongPaths()).toEqual([])
    }
    const [a, b] = [await create({ title: 'Left' }), await create({ title: 'Right' })]
    const crossed = await Promise.allSettled([change(a, { parentId: b }), change(b, { parentId: a })])
    expect(crossed.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(crossed.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'category_cycle' } })
  })

  it('puts a category that is made while its parent moves where the parent went', async () => {
    const [a, b] = [await create({ title: 'A' }), await create({ title: 'B' })]
    const importer = await database.pool.connect()
    await importer.query('begin')
    await ensureCategories(importer, [categoryPath('B/New') ?? []])
    const moving = change(b, { parentId: a })
    await untilWaiting()
    await importer.query('commit')
    importer.release()
    await moving
    expect(await outline()).toEqual(['a', 'a > b', 'a > b > b-new'])
  })

  it('loses a category only when it is empty and as it was read', async () => {
    const a = await create({ title: 'A' })
    const b = await create({ title: 'B', parentId: a })
    await expect(remove(a)).rejects.toMatchObject({ code: 'category_not_empty' })
    const id = await product('SKU', ['a/b'])
    await expect(remove(b)).rejects.toMatchObject({ code: 'category_not_empty' })
    await withTransaction(database.pool, (tx) =>
      updateProduct(tx, { id, mayChange: () => true, patch: { categories: [] } }),
    )
    await expect(remove(b, 7)).rejects.toMatchObject({ code: 'precondition_failed' })
    await remove(b)
    await remove(a)
    expect(await outline()).toEqual([])
  })

  it('is changed by one of several who read the same version', async () => {
    const id = await create({ title: 'A' })
    const tries = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => change(id, { title: `T${index}` }, (version) => version === 1)),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await findCategory(database.pool, id)).toMatchObject({ version: 2 })
  })
})

it('a change tells the outbox whose pages show the category, before it and after', async () => {
  const [top, other] = [await create({ title: 'Top' }), await create({ title: 'Other' })]
  const low = await create({ title: 'Low', parentId: top })
  await change(low, { position: 1 })
  await change(low, { parentId: other })
  await define(low, [])
  await remove(low)
  const { rows } = await database.pool.query('select seq, type, payload from outbox where aggregate = $1 order by id', [
    low,
  ])
  expect(rows.map(({ seq, type, payload }) => [seq, type, payload.version, payload.shown_on])).toEqual([
    [1, 'category.created', 1, [top, low]],
    [2, 'category.updated', 2, [top, low]],
    [3, 'category.updated', 3, [top, low, other]],
    [4, 'category.updated', 4, [other, low]],
    [5, 'category.deleted', 5, [other, low]],
  ])
})

describe('the products of a branch', () => {
  it('are told when its title, its slug or its place changes, and not for anything else', async () => {
    const top = await create({ title: 'Top' })
    await create({ title: 'Low', parentId: top })
    const [inside, outside] = [await product('IN', ['Top/Low']), await product('OUT', ['Elsewhere'])]
    const steps: [CategoryPatch, number][] = [
      [{ description: 'x', position: 3 }, 1],
      [{ title: 'Top' }, 1],
      [{ title: 'Upper' }, 2],
      [{ slug: 'upper' }, 3],
      [{ parentId: await create({ title: 'Above' }) }, 4],
    ]
    for (const [patch, version] of steps) {
      await change(top, patch)
      expect(await findProduct(database.pool, inside)).toMatchObject({ version })
    }
    expect(await findProduct(database.pool, outside)).toMatchObject({ version: 1 })
    const { rows } = await database.pool.query(
      `select aggregate, array_agg(seq order by id) as seqs
       from outbox
       where type like 'product.%'
       group by aggregate
       order by min(id)`,
    )
    expect(rows).toEqual([
      { aggregate: inside, seqs: [1, 2, 3, 4] },
      { aggregate: outside, seqs: [1] },
    ])
  })
})

describe('the attributes of a branch', () => {
  const size = {
    name: 'size',
    label: 'Size',
    type: 'enum',
    required: false,
    filterable: true,
    options: ['S', 'L'],
    unit: null,
  } as const

  it('cannot be defined so that a stored product no longer fits: it is named, and nothing changes', async () => {
    const top = await create({ title: 'Top' })
    await create({ title: 'Low', parentId: top })
    const fits = await product('A', ['Top/Low'], { size: 'S' })
    await define(top, [size])
    const wrong = await product('B', ['Elsewhere'], { size: 'XXL' })
    const elsewhere = (await findCategory(database.pool, 'elsewhere'))?.id as CategoryId
    await expect(define(elsewhere, [size])).rejects.toMatchObject({
      code: 'attributes_in_use',
      details: { products: [{ id: wrong, errors: [expect.objectContaining({ pointer: '/attributes/size' })] }] },
    })
    await expect(define(top, [{ ...size, options: ['L'] }])).rejects.toMatchObject({
      details: { products: [expect.objectContaining({ id: fits })] },
    })
    await expect(change(elsewhere, { parentId: top })).rejects.toMatchObject({ code: 'attributes_in_use' })
    expect(await findCategory(database.pool, 'elsewhere')).toMatchObject({ version: 1, parentId: null })
    await define(top, [{ ...size, required: true, label: 'Sizes' }])
    await define(top, [])
    await change(elsewhere, { parentId: top })
  })

  it('tell its products when another one is a filter, and not for anything else', async () => {
    const top = await create({ title: 'Top' })
    await create({ title: 'Low', parentId: top })
    const id = await product('A', ['Top/Low'], { size: 'S' })
    const steps: [Parameters<typeof define>[1], number][] = [
      [[size], 2],
      [[{ ...size, label: 'Sizes', required: true }], 2],
      [[{ ...size, filterable: false }], 3],
      [[], 4],
    ]
    for (const [definitions, version] of steps) {
      await define(top, definitions)
      expect(await findProduct(database.pool, id)).toMatchObject({ version })
    }
  })

  it('are filters as the nearest definition says; in several categories one that wants it is enough', async () => {
    const top = await create({ title: 'Top' })
    const low = await create({ title: 'Low', parentId: top })
    const other = await create({ title: 'Other' })
    const id = await product('A', ['Top/Low'], { Size: 'S', free: 'Yes' })
    const both = await product('B', ['Top/Low', 'Other'], { size: 'S' })
    const filters = async (of: ProductId) => {
      const { documents } = await projectDocuments(database.pool, [of])
      return documents.map(({ attributes, details }) => [attributes.map(({ name }) => name), details])[0]
    }
    expect(await filters(id)).toEqual([['size', 'free'], []])
    await define(top, [{ ...size, filterable: false }])
    expect(await filters(id)).toEqual([['free'], ['S']])
    expect(await filters(both)).toEqual([[], ['S']])
    await define(other, [size])
    expect(await filters(both)).toEqual([['size'], []])
    await define(low, [size])
    expect(await filters(id)).toEqual([['size', 'free'], []])
    await define(low, [{ ...size, filterable: false }])
    await define(top, [size])
    expect(await filters(id)).toEqual([['free'], ['S']])
  })

  it('have the names that search knows, hyphens and fifty characters included', async () => {
    const name = `care-${'x'.repeat(45)}`
    const top = await create({ title: 'Top' })
    await define(top, [{ ...size, name }])
    const id = await product('A', ['Top'], { [name]: 'S' })
    const { documents } = await projectDocuments(database.pool, [id])
    expect(documents[0]?.attributes).toMatchObject([{ name }])
  })

  it('and a product that is written meanwhile go one after the other', async () => {
    const top = await create({ title: 'Top' })
    const writer = await database.pool.connect()
    await writer.query('begin')
    await createProduct(writer, { ...simple('A'), categories: ['Top'], attributes: { size: 'XXL' } })
    const defining = define(top, [size])
    defining.catch(() => undefined)
    await untilWaiting()
    await writer.query('commit')
    writer.release()
    await expect(defining).rejects.toMatchObject({ code: 'attributes_in_use' })
  })
})

function create(input: CategoryInput): Promise<CategoryId> {
  return withTransaction(database.pool, (tx) => createCategory(tx, input))
}

function change(id: CategoryId, patch: CategoryPatch, mayChange: (version: number) => boolean = () => true) {
  return withTransaction(database.pool, (tx) => updateCategory(tx, { id, mayChange, patch }))
}

function remove(id: CategoryId, version?: number) {
  const mayChange = (now: number) => version === undefined || now === version
  return withTransaction(database.pool, (tx) => deleteCategory(tx, { id, mayChange }))
}

function define(id: CategoryId, definitions: Parameters<typeof defineAttributes>[1]['definitions']) {
  return withTransaction(database.pool, (tx) => defineAttributes(tx, { id, mayChange: () => true, definitions }))
}

function product(sku: string, categories: string[], attributes = {}): Promise<ProductId> {
  return withTransaction(database.pool, (tx) => createProduct(tx, { ...simple(sku), categories, attributes }))
}

function simple(sku: string) {
  return { title: sku, variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }] }
}

/** Each category with those above it, by slug. */
async function outline(): Promise<string[]> {
  const { rows } = await database.pool.query<{ line: string }>(
    `select string_agg(up.slug, ' > ' order by depth) as line
     from category c
     cross join unnest(c.path) with ordinality as step (id, depth)
     join category up on up.id = step.id
     group by c.id`,
  )
  return rows.map(({ line }) => line).sort()
}

/** Categories whose path is not their parent's and themselves. */
async function wrongPaths() {
  const { rows } = await database.pool.query(
    `select c.id
     from category c
     left join category up on up.id = c.parent_id
     where c.path <> coalesce(up.path, '{}') || c.id::text`,
  )
  return rows
}

/** Until some statement of this database waits for a lock. */
async function untilWaiting(): Promise<void> {
  const waiting = `select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()) as yes`
  await until('a statement waits', async () => (await database.pool.query<{ yes: boolean }>(waiting)).rows[0]?.yes)
}
