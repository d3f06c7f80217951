import { OPEN_STATUSES } from '../domain/order'
import { UNRESOLVED_STATUSES } from '../domain/payment/attempt'

/**
 * Statements with named values. A fixed text is a {@link statement}: written with `:names`, compiled once when its module
 * loads. A text that is put together from a request binds its values as it goes along: {@link Values}.
 */

/** Everything that can be bound. Not `undefined`: what is absent is null, and says so. */
export type SqlValue = string | number | boolean | bigint | object | null

/** What node-postgres runs. The plan of a statement is kept by its name; one without a name is planned each time. */
export interface Query {
  readonly name?: string
  readonly text: string
  readonly values: SqlValue[]
}

/** A compiled statement, to be given its values. Of a text that the compiler does not know it takes whatever it gets. */
export type Statement<Text extends string> = (
  values: Readonly<Record<string extends Text ? string : NameIn<Text>, SqlValue>>,
) => Query

/**
 * Compiles a statement whose values are written `:likeThis`; the same name is the same value wherever it stands. A call
 * gives the values by name: the compiler refuses one that is missing or that the text does not have. Fragments join the
 * text as they are and bring their names along. (`as const` keeps the names of a text that is itself put together.)
 *
 *     const RENAME = statement('brand.rename', 'update brand set name = :name where id = :id::int')
 *     await db.query(RENAME({ id, name }))
 *
 * @param name of the prepared statement, one per text; null where it runs rarely, or its best plan depends on the values
 * @throws where `:likeThis` stands in a string, a quoted name or a comment: there it would be no value
 */
export function statement<const Text extends string>(name: string | null, text: Text): Statement<Text> {
  const { numbered, names } = compile(text)
  const fixed = name === null ? { text: numbered } : { name, text: numbered }
  return (values) => ({ ...fixed, values: names.map((one) => bound(one, values)) })
}

/** The values of a text that is put together from a request, bound in the order in which they are added. */
export class Values {
  readonly list: SqlValue[] = []

  /** What stands for the value in the text, with its type in Postgres. */
  add(value: SqlValue, type: string): string {
    this.list.push(value)
    return `$${this.list.length}::${type}`
  }
}

/** The names of all values in a text. Like {@link VALUE} it takes `::int` for a cast and `:M` for no value. */
type NameIn<Text extends string, Found extends string = never> = Text extends `${string}:${infer Rest}`
  ? Rest extends `:${infer AfterCast}`
    ? NameIn<AfterCast, Found>
    : NameIn<Rest, Found | Exclude<FirstWord<Rest>, ''>>
  : Found

/** The word that a text begins with, if that begins with a small letter. */
type FirstWord<Text extends string> = Text extends `${SmallLetter}${string}` ? WordOf<Text> : ''
type WordOf<Text extends string, Word extends string = ''> = Text extends `${infer First}${infer Rest}`
  ? First extends SmallLetter | Uppercase<SmallLetter> | Digit
    ? WordOf<Rest, `${Word}${First}`>
    : Word
  : Word

type SmallLetter =
  | ('a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h' | 'i' | 'j' | 'k' | 'l' | 'm')
  | ('n' | 'o' | 'p' | 'q' | 'r' | 's' | 't' | 'u' | 'v' | 'w' | 'x' | 'y' | 'z')
type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'

const VALUE = /:([a-z][A-Za-z0-9]*)/
/** What a text is read as, from left to right: strings, quoted names, comments, casts, values. */
const TOKEN = /'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\/\*[^]*?\*\/|::|:([a-z][A-Za-z0-9]*)/g

function compile(text: string): { numbered: string; names: readonly string[] } {
  const names: string[] = []
  const numbered = text.replaceAll(TOKEN, (token: string, name: string | undefined) => {
    if (name === undefined) {
      if (VALUE.test(token)) throw new Error(`This would be no value, but looks like one: ${token}`)
      return token
    }
    if (!names.includes(name)) names.push(name)
    return `$${names.indexOf(name) + 1}`
  })
  return { numbered, names }
}

/** The compiler sees to it for texts that it knows; the others are looked at here. */
function bound(name: string, values: Readonly<Record<string, SqlValue>>): SqlValue {
  const value = values[name]
  if (value === undefined) throw new Error(`There is no value for :${name}.`)
  return value
}

/** Lists of statuses as statements write them behind `in`, made from those of the domain: "('pending', 'sent')". */
const listed = (statuses: readonly string[]): string => `(${statuses.map((status) => `'${status}'`).join(', ')})`

/** Of an order: its checkout is still at work. */
export const OPEN = listed(OPEN_STATUSES)
/** Of an attempt: the provider may hold or take the money. */
export const UNRESOLVED = listed(UNRESOLVED_STATUSES)
/** Of an attempt: it is unresolved, or asked for and not sent yet. */
export const UNDECIDED = listed(['requested', ...UNRESOLVED_STATUSES])
