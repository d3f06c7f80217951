import { inflateSync } from 'node:zlib'

/** What a reader sees on the pages of a PDF that pdfkit wrote: per page its lines from top to bottom, each from left to right. */
export function pdfLines(pdf: Buffer): string[][] {
  const objects = objectsOf(pdf)
  const fonts = fontsOf(objects)
  return pagesOf(objects).map((content) => linesOf(content, fonts))
}

interface PdfObject {
  readonly dictionary: string
  readonly stream: string
}

function objectsOf(pdf: Buffer): Map<number, PdfObject> {
  const text = pdf.toString('latin1')
  const table = text.slice(Number(/startxref\n(\d+)/.exec(text)?.[1]))
  const offsets = [...table.matchAll(/^(\d{10}) \d{5} n/gm)].map(([, offset]) => Number(offset))
  return new Map(
    offsets.map((offset) => {
      const [head, id] = /^(\d+) \d+ obj\n/.exec(text.slice(offset, offset + 30)) ?? ['', '']
      const rest = text.slice(offset + head.length)
      const dictionary = /^[^]*?(?=\nstream\n|\nendobj)/.exec(rest)?.[0] ?? ''
      const begins = offset + head.length + dictionary.length + '\nstream\n'.length
      const length = Number(/\/Length (\d+)/.exec(dictionary)?.[1] ?? 0)
      const bytes = pdf.subarray(begins, begins + length)
      const stream = dictionary.includes('/FlateDecode') ? inflateSync(bytes) : bytes
      return [Number(id), { dictionary, stream: stream.toString('latin1') }]
    }),
  )
}

/** Per font the text of each glyph. */
function fontsOf(objects: Map<number, PdfObject>): Map<string, Map<string, string>> {
  const names = [...objects.values()].flatMap(({ dictionary }) => [...dictionary.matchAll(/\/(F\d+) (\d+) 0 R/g)])
  return new Map(
    names.map(([, name, id]) => {
      const font = objects.get(Number(id))?.dictionary ?? ''
      return [name as string, glyphsOf(objects.get(refOf(font, 'ToUnicode'))?.stream ?? '')]
    }),
  )
}

function glyphsOf(map: string): Map<string, string> {
  const ranges = [...map.matchAll(/^<([0-9a-f]{4})> <[0-9a-f]{4}> \[(.*)\]$/gm)]
  return new Map(
    ranges.flatMap(([, first, texts]) =>
      [...(texts as string).matchAll(/<([0-9a-f ]*)>/g)].map(([, hex], index): [string, string] => [
        (Number.parseInt(first as string, 16) + index).toString(16).padStart(4, '0'),
        String.fromCharCode(...(hex as string).split(' ').map((unit) => Number.parseInt(unit, 16))),
      ]),
    ),
  )
}

function pagesOf(objects: Map<number, PdfObject>): string[] {
  const pages = [...objects.values()].find(({ dictionary }) => dictionary.includes('/Type /Pages'))?.dictionary ?? ''
  const kids = [...(/\/Kids \[([^\]]*)\]/.exec(pages)?.[1] ?? '').matchAll(/(\d+) 0 R/g)].map(([, id]) => Number(id))
  return kids.map((id) => objects.get(refOf(objects.get(id)?.dictionary ?? '', 'Contents'))?.stream ?? '')
}

function refOf(dictionary: string, name: string): number {
  return Number(new RegExp(`/${name} (\\d+) 0 R`).exec(dictionary)?.[1])
}

function linesOf(content: string, fonts: Map<string, Map<string, string>>): string[] {
  const pieces = [...content.matchAll(/^BT\n([^]*?)^ET$/gm)].map(([, block]) => {
    const [, x, y] = /^1 0 0 1 (\S+) (\S+) Tm$/m.exec(block as string) ?? []
    const glyphs = fonts.get(/^\/(F\d+) /m.exec(block as string)?.[1] ?? '')
    const codes = [...(block as string).matchAll(/<([0-9a-f]+)>/g)].flatMap(([, hex]) => hex?.match(/.{4}/g) ?? [])
    return { x: Number(x), y: Number(y), text: codes.map((code) => glyphs?.get(code) ?? '?').join('') }
  })
  const byHeight = new Map<number, typeof pieces>()
  for (const piece of pieces) {
    // Small text beside large text stands on the line of the large one.
    const height = [...byHeight.keys()].find((y) => Math.abs(y - piece.y) < 3) ?? piece.y
    byHeight.set(height, [...(byHeight.get(height) ?? []), piece])
  }
  return [...byHeight]
    .sort(([a], [b]) => b - a)
    .map(([, line]) =>
      line
        .sort((a, b) => a.x - b.x)
        .map(({ text }) => text)
        .join(' '),
    )
}
