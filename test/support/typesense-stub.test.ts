import { startTypesenseStub, type TypesenseStub } from './typesense-stub'

/** What the stub refuses, so that nothing passes here that the server would not take. Statuses are the documented ones. */
let stub: TypesenseStub
beforeAll(async () => {
  stub = await startTypesenseStub({ apiKey: 'secret' })
  expect(await send('POST', '/collections', SCHEMA)).toMatchObject({ status: 201 })
  const lines = [DOCUMENT, { ...DOCUMENT, id: '2', title: 'Blue Jar', price_GBP: 900 }].map((one) =>
    JSON.stringify(one),
  )
  expect((await send('POST', '/collections/things/documents/import?action=create', lines.join('\n'))).text).toBe(
    '{"success":true}\n{"success":true}',
  )
})
afterAll(() => stub.stop())

const SCHEMA = {
  name: 'things',
  default_sorting_field: 'popularity',
  fields: [
    { name: 'title', type: 'string' },
    { name: 'tags', type: 'string[]', facet: true },
    { name: 'in_stock', type: 'bool' },
    { name: 'popularity', type: 'float' },
    { name: 'note', type: 'string', optional: true, index: false },
    { name: 'price_.*', type: 'int64', facet: true, optional: true },
  ],
}
const DOCUMENT = { id: '1', title: 'Red Cup', tags: ['cup'], in_stock: true, popularity: 1.5, price_GBP: 100 }

async function send(method: string, path: string, body?: unknown, key = 'secret') {
  const response = await fetch(stub.url + path, {
    method,
    headers: { 'x-typesense-api-key': key },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, body: text.startsWith('{"success') ? null : JSON.parse(text) }
}

const find = async (parameters: Record<string, unknown>) => {
  const { status, body } = await send('POST', '/multi_search', {
    searches: [{ collection: 'things', q: '*', ...parameters }],
  })
  expect(status).toBe(200)
  return body.results[0]
}

it('wants the key, and knows no other address', async () => {
  expect(await send('GET', '/collections', undefined, 'wrong')).toMatchObject({
    status: 401,
    body: { message: 'Forbidden - a valid `x-typesense-api-key` header must be sent.' },
  })
  expect((await send('GET', '/health', undefined, 'wrong')).status).toBe(200)
  expect((await send('GET', '/nothing')).status).toBe(404)
  expect((await send('PUT', '/collections/things/overrides/x', {})).status).toBe(404)
})

it.each([
  ['a name that is taken', SCHEMA, 409],
  ['no fields', { name: 'x', fields: [] }, 400],
  ['no name', { fields: SCHEMA.fields }, 400],
  ['an unknown type', { name: 'x', fields: [{ name: 'a', type: 'text' }] }, 400],
  ['an unknown property', { name: 'x', fields: [{ name: 'a', type: 'string', facets: true }] }, 400],
  [
    'a facet that is not indexed',
    { name: 'x', fields: [{ name: 'a', type: 'string', index: false, optional: true, facet: true }] },
    400,
  ],
  [
    'a field that is not indexed and not optional',
    { name: 'x', fields: [{ name: 'a', type: 'string', index: false }] },
    400,
  ],
  ['an optional default order', { ...SCHEMA, name: 'x', default_sorting_field: 'note' }, 400],
  ['a default order that is no field', { ...SCHEMA, name: 'x', default_sorting_field: 'rank' }, 400],
  ['separators of two characters', { ...SCHEMA, name: 'x', token_separators: ['--'] }, 400],
  ['overrides as before version 30', { ...SCHEMA, name: 'x', overrides: [] }, 400],
])('refuses a collection with %s', async (_what, schema, status) => {
  expect((await send('POST', '/collections', schema)).status).toBe(status)
})

it.each([
  [
    'without a field',
    { ...DOCUMENT, id: '9', title: undefined },
    'Field `title` has been declared in the schema, but is not found in the document.',
  ],
  ['with a number for a text', { ...DOCUMENT, id: '9', title: 5 }, 'Field `title` must be a string.'],
  ['with a text for a list', { ...DOCUMENT, id: '9', tags: 'cup' }, 'Field `tags` must be an array of string.'],
  [
    'with a fraction for a whole number',
    { ...DOCUMENT, id: '9', price_EUR: 1.5 },
    'Field `price_EUR` must be an int64.',
  ],
  ['with an id that is a number', { ...DOCUMENT, id: 9 }, "Document's `id` field should be a string."],
  ['that is there', DOCUMENT, 'A document with id 1 already exists.'],
])('refuses a document %s, and that line alone', async (_what, document, error) => {
  const fine = JSON.stringify({ ...DOCUMENT, id: 'fine' })
  const { status, text } = await send(
    'POST',
    '/collections/things/documents/import?action=create',
    `${JSON.stringify(document)}\n${fine}`,
  )
  expect(status).toBe(200)
  const [first = '', second] = text.split('\n')
  expect(JSON.parse(first)).toMatchObject({ success: false, error })
  expect(second).toBe('{"success":true}')
  await send('DELETE', '/collections/things/documents?filter_by=id:=fine')
})

it('refuses imports and deletions that are wrong as a whole', async () => {
  expect((await send('POST', '/collections/things/documents/import?action=replace', '{}')).status).toBe(400)
  expect((await send('POST', '/collections/things/documents/import?actions=create', '{}')).status).toBe(400)
  expect((await send('POST', '/collections/nothing/documents/import', '{}')).status).toBe(404)
  expect((await send('DELETE', '/collections/things/documents')).status).toBe(400)
  expect((await send('DELETE', '/collections/things/documents?filter_by=colour:=x')).status).toBe(404)
  expect((await send('DELETE', '/collections/nothing')).status).toBe(404)
  expect((await send('PUT', '/aliases/a', { collection: 'things' })).status).toBe(400)
  expect((await send('GET', '/aliases/a')).status).toBe(404)
})

it.each([
  [{ query: '*' }, 400, 'Unknown parameter `query` of a search.'],
  [{ override_tags: 'x' }, 400, 'Unknown parameter `override_tags` of a search.'],
  [{ q: 'cup' }, 400, 'No search fields specified for the query.'],
  [{ q: 'cup', query_by: 'name' }, 404, 'Could not find a field named `name` in the schema.'],
  [{ q: 'cup', query_by: 'popularity' }, 400, 'Field `popularity` should be a string or a string array.'],
  [{ q: 'cup', query_by: 'note' }, 400, 'Field `note` is marked as a non-indexed field in the schema.'],
  [{ q: 'cup', query_by: 'title,tags', num_typos: '1,1,1' }, 400, expect.stringContaining('num_typos')],
  [{ q: 'cup', query_by: 'title', num_typos: '3' }, 400, expect.any(String)],
  [{ q: 'cup', query_by: 'title', prefix: 'yes' }, 400, expect.any(String)],
  [{ per_page: 251 }, 422, 'Only upto 250 hits can be fetched per page.'],
  [{ limit: -1 }, 400, expect.any(String)],
  [{ filter_by: 'colour:=red' }, 404, 'Could not find a filter field named `colour` in the schema.'],
  [{ filter_by: 'price_USD:>1' }, 404, 'Could not find a filter field named `price_USD` in the schema.'],
  [{ filter_by: 'title red' }, 400, 'Could not parse the filter query.'],
  [{ filter_by: '(title:=red' }, 400, 'Could not parse the filter query.'],
  [{ filter_by: 'title:=`red' }, 400, 'Could not parse the filter query.'],
  [{ filter_by: 'popularity:>much' }, 400, 'Error with filter field `popularity`: Not a float.'],
  [{ filter_by: 'price_GBP:>1.5' }, 400, 'Error with filter field `price_GBP`: Not an int64.'],
  [{ filter_by: 'in_stock:=yes' }, 400, 'Error with filter field `in_stock`: Filter value must be `true` or `false`.'],
  [{ sort_by: 'rank:desc' }, 404, 'Could not find a field named `rank` in the schema for sorting.'],
  [{ sort_by: 'title:desc' }, 404, 'Could not find a field named `title` in the schema for sorting.'],
  [{ sort_by: 'popularity:down' }, 400, 'Order for field `popularity` should be either ASC or DESC.'],
  [{ sort_by: 'popularity' }, 400, 'Parameter `sort_by` is malformed.'],
  [
    { sort_by: 'popularity:asc,in_stock:asc,price_GBP:asc,_text_match:asc' },
    422,
    'Only upto 3 sort fields can be specified in a single query.',
  ],
  [{ sort_by: '_eval([(colour:=red):2]):desc' }, 404, expect.any(String)],
  [{ facet_by: 'title' }, 404, 'Could not find a facet field named `title` in the schema.'],
  [{ facet_by: 'colour' }, 404, 'Could not find a facet field named `colour` in the schema.'],
  [{ facet_by: 'tags(a:[0, 1])' }, 400, expect.any(String)],
  [{ facet_by: 'price_GBP(a:[0, 10], b:[11, 20])' }, 400, 'Ranges in range facet syntax should be continous.'],
  [{ include_fields: 'name' }, 404, expect.any(String)],
])('refuses the search %j', async (parameters, code, error) => {
  expect(await find(parameters)).toEqual({ code, error })
})

it.each([
  ['title:cup', ['1']],
  ['title:=Red Cup', ['1']],
  ['title:=`Red Cup` || title:=`Blue Jar`', ['1', '2']],
  ['price_GBP:[50..200]', ['1']],
  ['price_GBP:>=100 && price_GBP:<900', ['1']],
  ['(title:=`Red Cup` || in_stock:true) && price_GBP:>100', ['2']],
  ['id:!=[1]', ['2']],
  ['tags:=[cup,`jar`]', ['1', '2']],
])('finds by the filter %s', async (filter_by, ids) => {
  const { hits } = await find({ filter_by })
  expect(hits.map((hit: { document: { id: string } }) => hit.document.id).sort()).toEqual(ids)
})

it('refuses rules that are none', async () => {
  expect((await send('PUT', '/synonym_sets/s', { items: [{ synonyms: ['a'] }] })).status).toBe(400)
  expect((await send('PUT', '/synonym_sets/s', { items: [{ id: 'a' }] })).status).toBe(400)
  expect((await send('PUT', '/synonym_sets/s', { synonyms: [] })).status).toBe(400)
  const item = { id: 'a', rule: { query: 'cup', match: 'exact' }, excludes: [{ id: '1' }] }
  expect((await send('PUT', '/curation_sets/c', { items: [item] })).status).toBe(200)
  expect((await send('PUT', '/curation_sets/c', { items: [{ ...item, rule: { query: 'cup' } }] })).status).toBe(400)
  expect((await send('PUT', '/curation_sets/c', { items: [{ ...item, excludes: undefined }] })).status).toBe(400)
  expect(
    (await send('PUT', '/curation_sets/c', { items: [{ ...item, includes: [{ id: '1', position: 0 }] }] })).status,
  ).toBe(400)
  expect((await send('PUT', '/curation_sets/c', { items: [{ ...item, hides: [] }] })).status).toBe(400)
})
