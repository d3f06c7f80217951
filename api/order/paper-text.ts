import bidiFactory from 'bidi-js'

/** Text from anywhere, made fit for a printed page: what it may hold, where its lines end, in which order its letters stand. */

const bidi = bidiFactory()

/** Longer ones are cut: no title, name or street needs as much. */
const LETTERS_MAX = 300
/** Marks that stand on one letter. More of them run over the lines above. */
const STACKED_MARKS = /(\p{M}{4})\p{M}+/gu
const GAPS = /[\s\p{Cc}\p{Zl}\p{Zp}]+/gu
/** What is not seen, such as marks that turn the direction of all that follows. Joiners shape Arabic and Persian words. */
const UNSEEN = /(?![\u200c\u200d])[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cs}]/gu
const MISSING = '\ufffd'

/**
 * One line of text without controls, cut where it is too long. A letter that the font lacks becomes U+FFFD, so that a reader
 * sees that something is missing.
 */
export function printable(text: string, hasGlyph: (codePoint: number) => boolean): string {
  const clean = text
    .slice(0, LETTERS_MAX * 4)
    .normalize('NFC')
    .replace(UNSEEN, '')
    .replace(GAPS, ' ')
    .replace(STACKED_MARKS, '$1')
    .trim()
  const letters = Array.from(clean)
  const shown = letters
    .slice(0, LETTERS_MAX)
    .map((letter) => (hasGlyph(letter.codePointAt(0) as number) ? letter : MISSING))
    .join('')
  return letters.length > LETTERS_MAX ? `${shown}…` : shown
}

/** The lines of a text that is `width` wide. What does not fit into `linesMax` of them ends in an ellipsis. */
export function wrap(
  text: string,
  { width, linesMax, widthOf }: { width: number; linesMax: number; widthOf: (text: string) => number },
): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((one) => partsOf(one, width, widthOf))) {
    const longer = line === '' ? word : `${line} ${word}`
    if (widthOf(longer) <= width) {
      line = longer
      continue
    }
    // Only a letter that is wider than a line begins with none.
    if (line !== '') lines.push(line)
    line = word
    if (lines.length === linesMax) return [...lines.slice(0, -1), shortened(lines.at(-1) as string, width, widthOf)]
  }
  return [...lines, line]
}

/** A word that is wider than a line, in parts that are not. */
function partsOf(word: string, width: number, widthOf: (text: string) => number): string[] {
  if (widthOf(word) <= width) return [word]
  const parts: string[] = []
  let part = ''
  for (const letter of word) {
    if (part !== '' && widthOf(part + letter) > width) {
      parts.push(part)
      part = ''
    }
    part += letter
  }
  return [...parts, part]
}

function shortened(line: string, width: number, widthOf: (text: string) => number): string {
  const letters = Array.from(line)
  while (letters.length > 0 && widthOf(`${letters.join('')}…`) > width) letters.pop()
  return `${letters.join('').trimEnd()}…`
}

/** Letters that are read one way, in the order in which they are read. */
export interface Run {
  readonly text: string
  readonly isRightToLeft: boolean
}

const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Nko}\p{Script=Syriac}\p{Script=Thaana}]/u

export function readsRightToLeft(text: string): boolean {
  return RIGHT_TO_LEFT.test(text) && (bidi.getEmbeddingLevels(text).paragraphs[0]?.level ?? 0) % 2 === 1
}

/** The runs of a line, from left to right (Unicode's bidirectional algorithm). `isRightToLeft`: the whole text is. */
export function runsOf(line: string, isRightToLeft: boolean): Run[] {
  if (!isRightToLeft && !RIGHT_TO_LEFT.test(line)) return [{ text: line, isRightToLeft: false }]
  const embedding = bidi.getEmbeddingLevels(line, isRightToLeft ? 'rtl' : 'ltr')
  const { levels } = embedding
  const mirrored = bidi.getMirroredCharactersMap(line, levels)
  const runs: number[][] = []
  for (const index of bidi.getReorderedIndices(line, embedding)) {
    const run = runs.at(-1)
    if (run && levels[run[0] as number] === levels[index]) run.push(index)
    else runs.push([index])
  }
  return runs.map((indices) => ({
    text: indices
      .toSorted((a, b) => a - b)
      .map((index) => mirrored.get(index) ?? line.charAt(index))
      .join(''),
    isRightToLeft: (levels[indices[0] as number] as number) % 2 === 1,
  }))
}
