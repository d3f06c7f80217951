/** How text becomes words, in documents and in queries alike. Both engines' rules for typos begin here. */

const WORD_LENGTH_MAX = 40
const FORGIVEN_LENGTH_MAX = 24
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const WORD = /[\p{L}\p{N}]+/gu
const WRITTEN_WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}'’]*/gu

/** Lower case without accents and apostrophes: `"Café's  T-Light"` → `["cafes", "t", "light"]`. */
export function wordsOf(text: string): string[] {
  const plain = text
    .normalize('NFKD')
    .replace(/[\p{M}'’]/gu, '')
    .toLowerCase()
  return (plain.match(WORD) ?? []).map((word) => word.slice(0, WORD_LENGTH_MAX))
}

/** The value of a facet: words joined by hyphens, so that nothing in it means anything to any engine. */
export function facetValue(text: string): string {
  return wordsOf(text).join('-')
}

/** A word and what it may be in the other number: `"boxes"` → `["boxes", "boxe", "box"]`. Some are no words: they find nothing. */
export function formsOf(word: string): string[] {
  if (!/^[a-z]{3,}$/.test(word)) return [word]
  return [...new Set([word, ...singularsOf(word), ...pluralsOf(word)])]
}

function singularsOf(word: string): string[] {
  if (word.length < 4 || /(?:ss|us|is)$/.test(word) || !word.endsWith('s')) return []
  if (word.endsWith('ies')) return [`${word.slice(0, -3)}y`, word.slice(0, -1)]
  if (word.endsWith('es')) return [word.slice(0, -1), word.slice(0, -2)]
  return [word.slice(0, -1)]
}

function pluralsOf(word: string): string[] {
  if (word.endsWith('s') && !word.endsWith('ss')) return []
  if (/[^aeiou]y$/.test(word)) return [`${word.slice(0, -1)}ies`]
  return [/(?:s|x|z|ch|sh)$/.test(word) ? `${word}es` : `${word}s`]
}

/** Every word that is one swap, drop, double, other or missing letter away from a word of Latin letters; few for others. */
export function editsOf(word: string): string[] {
  const letters = Array.from(word)
  const before = letters.map((_, at) => letters.slice(0, at).join('')).concat(word)
  const after = letters.map((_, at) => letters.slice(at).join('')).concat('')
  const edits = new Set<string>()
  const add = (from: number, to: number, between: string): void => {
    edits.add(`${before[from]}${between}${after[to]}`)
  }
  for (let at = 0; at <= letters.length; at++) {
    if (at < letters.length) add(at, at + 1, '')
    if (at + 1 < letters.length) add(at, at + 2, `${letters[at + 1]}${letters[at]}`)
    for (const letter of LETTERS) {
      add(at, at, letter)
      if (at < letters.length) add(at, at + 1, letter)
    }
  }
  edits.delete(word)
  edits.delete('')
  return [...edits]
}

/** How many swaps of neighbours, drops, insertions and replacements make one of the other (optimal string alignment). */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    const above = rows[i - 1] as number[]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1)
      row.push(least)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

/** How many typos a word may have: short ones would mean another, and of very long ones there are too many. */
export function typosAllowed(word: string): 0 | 1 | 2 {
  if (word.length < 3 || word.length > FORGIVEN_LENGTH_MAX || /\d/.test(word)) return 0
  return word.length < 7 ? 1 : 2
}

/** The text as HTML, every word that `isMatch` names inside `<mark>`; nothing of the text itself is markup. */
export function markWords(text: string, isMatch: (word: string) => boolean): string {
  let html = ''
  let end = 0
  for (const { 0: written, index } of text.matchAll(WRITTEN_WORD)) {
    html += escapeHtml(text.slice(end, index))
    end = index + written.length
    html += wordsOf(written).some(isMatch) ? `<mark>${escapeHtml(written)}</mark>` : escapeHtml(written)
  }
  return html + escapeHtml(text.slice(end))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}
