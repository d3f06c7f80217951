import { statement, Values } from '../../db/sql'

describe('a statement', () => {
  it('numbers its values in the order of the text, the same name once', () => {
    const add = statement('test.add', 'select :first::int + :second::int - :first::int as sum')
    expect(add({ second: 2, first: 1 })).toEqual({
      name: 'test.add',
      text: 'select $1::int + $2::int - $1::int as sum',
      values: [1, 2],
    })
  })

  it('has one text, whatever its values are', () => {
    const find = statement('test.find', 'select :id::text')
    expect(find({ id: 'a' }).text).toBe(find({ id: ':b' }).text)
  })

  it('takes the names of its fragments', () => {
    const own = 'owner_id = :owner' as const
    const held = `${own} and state = 'held'` as const
    const count = statement(null, `select count(*) from reservation where ${held} and sku = :sku`)
    expect(count({ sku: 'A', owner: 'B' })).toEqual({
      text: "select count(*) from reservation where owner_id = $1 and state = 'held' and sku = $2",
      values: ['B', 'A'],
    })
  })

  it('leaves casts, operators, strings, quoted names and comments as they are', () => {
    const text = `
      -- What's more: 'this' stays.
      select '1'::int as "a: b", 'it''s: this' as c, '{}'::jsonb ? 'd' as d, to_char(now(), 'HH24:MI:SS') /* not: this */`
    expect(statement(null, text)({}).text).toBe(text)
  })

  it('is refused when a string, a quoted name or a comment has what looks like a value', () => {
    for (const text of ["select 'at :noon'", 'select 1 as ":one"', '-- not :this', '/* nor\n :this */ select 1'])
      expect(() => statement(null, text)).toThrow('This would be no value, but looks like one')
  })

  it('is refused by the compiler without a value, or with one that it does not have', () => {
    const rename = statement('test.rename', 'update brand set name = :name where id = :id::int')
    // @ts-expect-error
    expect(() => rename({ name: 'A' })).toThrow('There is no value for :id.')
    // @ts-expect-error
    expect(() => rename({ name: 'A', id: undefined })).toThrow('There is no value for :id.')
    // @ts-expect-error
    expect(rename({ name: 'A', id: 1, slug: 'a' }).values).toEqual(['A', 1])
    expect(rename({ name: null, id: 1 }).values).toEqual([null, 1])
  })

  it('is looked at when it runs if the compiler does not know its text', () => {
    const text: string = ['select :first', ':second'].join(', ')
    expect(() => statement(null, text)({ first: 1 })).toThrow('There is no value for :second.')
  })
})

test('values are bound in the order in which they are added', () => {
  const values = new Values()
  expect(`select ${values.add('a', 'text')}, ${values.add(1, 'int')}`).toBe('select $1::text, $2::int')
  expect(values.list).toEqual(['a', 1])
})
