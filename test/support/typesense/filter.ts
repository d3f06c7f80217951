import { Refusal } from './refusal'
import { type Collection, type Document, type Field, findField } from './schema'
import { tokensOf } from './token'

export type Filter = (document: Document) => boolean

/**
 * `filter_by`: clauses `field:value`, `field:=value`, `field:!=value`, `field:>=1`, `field:[1..5, >9]`, lists in brackets,
 * literals in backticks, joined by `&&` and `||`, grouped by parentheses.
 */
export function parseFilter(collection: Collection, text: string): Filter {
  if (text.trim() === '') return () => true
  const parser = new FilterParser(collection, text)
  const filter = parser.any()
  parser.end()
  return filter
}

class FilterParser {
  private readonly collection: Collection
  private readonly text: string
  private at = 0

  constructor(collection: Collection, text: string) {
    this.collection = collection
    this.text = text
  }

  any(): Filter {
    const parts = [this.all()]
    while (this.take('||')) parts.push(this.all())
    return (document) => parts.some((part) => part(document))
  }

  end(): void {
    this.skip()
    if (this.at < this.text.length) throw unparsable()
  }

  private all(): Filter {
    const parts = [this.one()]
    while (this.take('&&')) parts.push(this.one())
    return (document) => parts.every((part) => part(document))
  }

  private one(): Filter {
    if (!this.take('(')) return this.clause()
    const inner = this.any()
    if (!this.take(')')) throw unparsable()
    return inner
  }

  private clause(): Filter {
    this.skip()
    const name = /^[\w.-]+/.exec(this.text.slice(this.at))?.[0]
    if (name === undefined) throw unparsable()
    this.at += name.length
    if (!this.take(':')) throw unparsable()
    const field = name === 'id' ? ID_FIELD : findField(this.collection, name)
    if (!field) throw new Refusal(404, `Could not find a filter field named \`${name}\` in the schema.`)
    if (!field.index) throw new Refusal(400, `Cannot filter on non-indexed field \`${name}\`.`)
    const operator = ['!=', '>=', '<=', '=', '>', '<', '!'].find((sign) => this.take(sign)) ?? ''
    const values = this.values()
    if (values.length === 0)
      throw new Refusal(400, `Error with filter field \`${name}\`: Filter value cannot be empty.`)
    return this.test(field, operator, values)
  }

  private values(): string[] {
    if (!this.take('[')) return [this.value(/^[^&|)\]]+/)]
    const values = [this.value(/^[^,\]]+/)]
    while (this.take(',')) values.push(this.value(/^[^,\]]+/))
    if (!this.take(']')) throw unparsable()
    return values
  }

  private value(plain: RegExp): string {
    this.skip()
    if (this.text[this.at] === '`') {
      const end = this.text.indexOf('`', this.at + 1)
      if (end < 0) throw unparsable()
      const value = this.text.slice(this.at + 1, end)
      this.at = end + 1
      return value
    }
    const value = plain.exec(this.text.slice(this.at))?.[0]
    if (value === undefined || value.trim() === '') throw unparsable()
    this.at += value.length
    return value.trim()
  }

  private test(field: Field, operator: string, values: readonly string[]): Filter {
    const type = field.type.replace('[]', '')
    const tests = values.map((value) => this.testOf(field, type, operator, value))
    const isNegated = operator.startsWith('!')
    return (document) => {
      const held = [document[field.name] ?? []].flat()
      const matches = held.some((one) => tests.some((test) => test(one)))
      return isNegated ? !matches : matches
    }
  }

  private testOf(field: Field, type: string, operator: string, value: string): (held: unknown) => boolean {
    const fault = (message: string): Refusal =>
      new Refusal(400, `Error with filter field \`${field.name}\`: ${message}`)
    if (type === 'bool') {
      if (value !== 'true' && value !== 'false') throw fault('Filter value must be `true` or `false`.')
      return (held) => String(held) === value
    }
    if (type === 'string') {
      if (['>', '<', '>=', '<='].includes(operator)) throw fault('Numerical comparison on a string field.')
      if (operator === '=' || operator === '!=') {
        if (field === ID_FIELD) return (held) => held === value
        return (held) =>
          tokensOf(this.collection, String(held)).join(' ') === tokensOf(this.collection, value).join(' ')
      }
      const wanted = tokensOf(this.collection, value)
      return (held) => wanted.every((token) => tokensOf(this.collection, String(held)).includes(token))
    }
    const number = (text: string): number => {
      const isWhole = type === 'int32' || type === 'int64'
      if (!(isWhole ? /^-?\d+$/ : /^-?\d+(?:\.\d+)?$/).test(text.trim()))
        throw fault(isWhole ? `Not an ${type}.` : 'Not a float.')
      return Number(text)
    }
    const range = /^(.+)\.\.(.+)$/.exec(value)
    if (range) {
      const [low, high] = [number(range[1] as string), number(range[2] as string)]
      return (held) => (held as number) >= low && (held as number) <= high
    }
    const signed = /^(>=|<=|>|<)?(.*)$/.exec(value) as RegExpExecArray
    const sign = signed[1] ?? operator
    const wanted = number(signed[2] as string)
    return (held) => {
      const given = held as number
      if (sign === '>') return given > wanted
      if (sign === '>=') return given >= wanted
      if (sign === '<') return given < wanted
      return sign === '<=' ? given <= wanted : given === wanted
    }
  }

  private take(sign: string): boolean {
    this.skip()
    if (!this.text.startsWith(sign, this.at)) return false
    this.at += sign.length
    return true
  }

  private skip(): void {
    while (this.text[this.at] === ' ') this.at++
  }
}

const ID_FIELD: Field = {
  name: 'id',
  type: 'string',
  facet: false,
  optional: false,
  index: true,
  sort: false,
  stem: false,
}

function unparsable(): Refusal {
  return new Refusal(400, 'Could not parse the filter query.')
}
