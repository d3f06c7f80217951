import type { z } from 'zod'
import type { Log } from '../../log'
import { isShed, type LoadLevel, type OptionalPart } from '../http/load-shedding'

/** Part of a page: one function. What it shows besides its value is named by tags. */
export interface Section<Context, Value> {
  /** The optional part under which load shedding leaves it out; it may also fail. Null: the page needs it. */
  readonly shedAs: OptionalPart | null
  /** Of what the answer has under the section's name. */
  readonly schema: z.ZodType<unknown, Value>
  build(context: Context): Promise<SectionContent<Value>>
}

export interface SectionContent<Value> {
  readonly value: Value
  readonly tags?: readonly string[]
}

export type Sections<Context> = Readonly<Record<string, Section<Context, unknown>>>

type Values<S extends Sections<never>> = {
  readonly [Name in keyof S]: S[Name] extends Section<never, infer Value> ? Value | null : never
}

export interface BuiltSections<S extends Sections<never>> {
  /** Null where a section was left out. */
  readonly values: Values<S>
  readonly tags: readonly string[]
  /** The names of those that were left out. */
  readonly leftOut: readonly string[]
}

/** What an answer has of these sections. */
export function shapeOf(sections: Readonly<Record<string, { readonly schema: z.ZodType }>>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(sections).map(([name, { schema }]) => [name, schema.nullable()]))
}

/** Builds the sections of a page side by side. Throws when one fails that the page needs. */
export async function buildSections<Context, S extends Sections<Context>>(
  sections: S,
  context: Context,
  { level, log }: { level: LoadLevel; log: Log },
): Promise<BuiltSections<S>> {
  const names = Object.keys(sections)
  const contents = await Promise.all(names.map((name) => buildOne(sections[name] as Section<Context, unknown>)))

  async function buildOne(section: Section<Context, unknown>): Promise<SectionContent<unknown> | null> {
    if (section.shedAs === null) return section.build(context)
    if (isShed(section.shedAs, level)) return null
    return section.build(context).catch((error: unknown) => {
      log.warn({ err: error, section: section.shedAs }, 'a page does without one of its sections')
      return null
    })
  }

  return {
    values: Object.fromEntries(names.map((name, index) => [name, contents[index]?.value ?? null])) as Values<S>,
    tags: contents.flatMap((content) => content?.tags ?? []),
    leftOut: names.filter((_name, index) => contents[index] === null),
  }
}
