import { DomainError } from '../../domain/errors'
import type { CurationRule, SearchRules, SynonymRule } from '../../domain/search'
import type { Db, Tx } from '../pool'

/** Every rule, with the version of them all. */
export async function readSearchRules(db: Db): Promise<SearchRules> {
  const { rows } = await db.query<SearchRules>({
    name: 'search.rules',
    text: `
      select version,
             coalesce((
               select jsonb_agg(jsonb_build_object('root', root, 'terms', terms) order by position) from search_synonym
             ), '[]') as synonyms,
             coalesce((
               select jsonb_agg(jsonb_build_object('query', query, 'pins', pins, 'hides', hides) order by query)
               from search_curation
             ), '[]') as curations
      from search_rules`,
  })
  return rows[0] ?? { version: 0, synonyms: [], curations: [] }
}

export async function readRulesVersion(db: Db): Promise<number> {
  const { rows } = await db.query<{ version: number }>({
    name: 'search.rulesVersion',
    text: 'select version from search_rules',
  })
  return rows[0]?.version ?? 0
}

/** Throws `precondition_failed` unless `isSeen` accepts the version that is replaced. */
export async function replaceSynonyms(
  tx: Tx,
  rules: readonly SynonymRule[],
  isSeen: (version: number) => boolean,
): Promise<void> {
  await nextVersion(tx, isSeen)
  await tx.query('delete from search_synonym')
  await tx.query(
    `insert into search_synonym (position, root, terms)
     select position, rule->>'root', array(select jsonb_array_elements_text(rule->'terms'))
     from jsonb_array_elements($1::jsonb) with ordinality as given (rule, position)`,
    [JSON.stringify(rules)],
  )
}

/** Throws `precondition_failed` unless `isSeen` accepts the version that is replaced. */
export async function replaceCurations(
  tx: Tx,
  rules: readonly CurationRule[],
  isSeen: (version: number) => boolean,
): Promise<void> {
  await nextVersion(tx, isSeen)
  await tx.query('delete from search_curation')
  await tx.query(
    `insert into search_curation (query, pins, hides)
     select rule->>'query', array(select jsonb_array_elements_text(rule->'pins')),
            array(select jsonb_array_elements_text(rule->'hides'))
     from jsonb_array_elements($1::jsonb) as given (rule)`,
    [JSON.stringify(rules)],
  )
}

/** First, so that two who replace rules do it one after the other. */
async function nextVersion(tx: Tx, isSeen: (version: number) => boolean): Promise<void> {
  const { rows } = await tx.query<{ version: number }>(
    'update search_rules set version = version + 1 returning version',
  )
  if (isSeen((rows[0]?.version ?? 0) - 1)) return
  throw new DomainError('precondition_failed', 'The rules have changed since you read them. Read them again.')
}
