import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { create, type Font } from 'fontkit'
import PDFDocument from 'pdfkit'
import { printable, readsRightToLeft, runsOf, wrap } from './paper-text'

/** A document on A4 pages: a head, blocks side by side, tables that go on over pages, sums. All lengths in points. */

const PAGE = { width: 595.28, height: 841.89, margin: 48, foot: 64 }
const WIDTH = PAGE.width - 2 * PAGE.margin
const BOTTOM = PAGE.height - PAGE.foot
const [INK, SOFT, RULE] = ['#1b2626', '#566464', '#c9d2d1']
const LINE_HEIGHT = 1.3
const CELL = { size: 8.5, noteSize: 7, gap: 8, padding: 3, linesMax: 4 }
const HEAD = { seller: 13, kind: 18, rise: 4.6 }
/** After so many rows other requests get their turn. */
const ROWS_AT_ONCE = 50

export interface PaperHead {
  readonly kind: string
  readonly number: string
  readonly seller: string
  /** When what it says became true: the same rows make the same bytes. */
  readonly createdAt: Date
}

export interface Column {
  readonly title: string
  /** A share of the page; the shares of a table add up to 1. */
  readonly share: number
  /** Figures stand at the right, and are never cut. */
  readonly isFigure?: boolean
}

export interface Cell {
  readonly text: string
  /** Small, below. */
  readonly note?: string
}

export interface Block {
  readonly title: string
  readonly lines: readonly string[]
}

interface Fonts {
  readonly regular: Font
  readonly bold: Font
}

interface Style {
  readonly size?: number
  readonly isBold?: boolean
  readonly color?: string
}

interface Place {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly align?: 'left' | 'right'
}

export class Paper {
  private readonly pdf: PDFKit.PDFDocument
  private readonly fonts = fonts()
  private readonly head: PaperHead
  private y = PAGE.margin

  constructor(head: PaperHead) {
    this.head = head
    const { kind, number, seller, createdAt } = head
    this.pdf = new PDFDocument({
      size: 'A4',
      margin: PAGE.margin,
      bufferPages: true,
      font: '',
      pdfVersion: '1.7',
      lang: 'en',
      displayTitle: true,
      info: { Title: `${kind} ${number}`, Author: this.cleaned(seller), Creator: 'Holdfast', CreationDate: createdAt },
    })
    // pdfkit takes fonts that are open already; its types do not know.
    for (const [name, font] of Object.entries(this.fonts)) this.pdf.registerFont(name, font as unknown as string)
  }

  /** A new first page. */
  begin(facts: readonly (readonly [string, string])[]): void {
    if (this.y > PAGE.margin) this.addPage()
    const half = (WIDTH - CELL.gap) / 2
    // On the same base line.
    const seller = { ...this.left(half), y: this.y + HEAD.rise }
    const sellerEnd = this.text(this.head.seller, seller, { size: HEAD.seller, isBold: true }, 3)
    this.text(this.head.kind, { ...this.right(half), align: 'right' }, { size: HEAD.kind, isBold: true })
    this.y += 28
    for (const [name, value] of facts) {
      const place = this.right(half)
      this.text(name, { ...place, width: half * 0.45 }, { color: SOFT })
      const at = { ...place, x: place.x + half * 0.45, width: half * 0.55, align: 'right' as const }
      this.y = this.text(value, at, {}, 2)
    }
    this.y = Math.max(this.y, sellerEnd) + 14
  }

  /** Side by side. */
  blocks(blocks: readonly Block[]): void {
    const width = (WIDTH - CELL.gap * (blocks.length - 1)) / blocks.length
    const top = this.y
    const ends = blocks.map(({ title, lines }, index) => {
      const place = { x: PAGE.margin + index * (width + CELL.gap), width }
      let y = this.text(title, { ...place, y: top }, { size: 8, color: SOFT, isBold: true })
      for (const line of lines) y = this.text(line, { ...place, y }, {}, 3)
      return y
    })
    this.y = Math.max(...ends) + 14
  }

  /** Above a table: not alone at the foot of a page. */
  title(text: string): void {
    this.keep(100)
    this.y = this.text(text, this.left(WIDTH), { size: 11, isBold: true }) + 4
  }

  paragraph(text: string): void {
    this.keep(30)
    this.y = this.text(text, this.left(WIDTH), { color: SOFT }, 4) + 4
  }

  async table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Promise<void> {
    this.keep(60)
    this.tableHead(columns)
    for (const [index, row] of rows.entries()) {
      const cells = columns.map((column, at) => this.cell(row[at] as Cell, column))
      const height = Math.max(...cells.map((cell) => cell.height)) + 2 * CELL.padding
      if (this.y + height > BOTTOM) {
        this.addPage()
        this.tableHead(columns)
      }
      this.eachColumn(columns, (place, at) => cells[at]?.draw({ ...place, y: this.y + CELL.padding }))
      this.y += height
      this.rule(0.4)
      if (index % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) await nextTurn()
    }
    this.y += 12
  }

  /** Names and amounts at the right, one below the other. */
  sums(rows: readonly { name: string; amount: string; isTotal?: boolean }[]): void {
    const width = WIDTH * 0.6
    for (const { name, amount, isTotal = false } of rows) {
      this.keep(18)
      if (isTotal) this.rule(0.8, PAGE.margin + WIDTH - width)
      const place = { x: PAGE.margin + WIDTH - width, y: this.y + 2 }
      const style = { isBold: isTotal }
      const end = this.text(name, { ...place, width: width * 0.62 }, { ...style, color: isTotal ? INK : SOFT }, 3)
      this.figure(amount, { ...place, x: place.x + width * 0.62, width: width * 0.38 }, style)
      this.y = end + 2
    }
    this.y += 12
  }

  /** The bytes, with a foot on each page. */
  async finish(): Promise<Buffer> {
    const { kind, number, seller } = this.head
    const { count } = this.pdf.bufferedPageRange()
    for (let page = 0; page < count; page++) {
      this.pdf.switchToPage(page)
      const place = { x: PAGE.margin, y: PAGE.height - 40, width: WIDTH }
      const style = { size: 7.5, color: SOFT }
      this.text(`${kind} ${number} · ${seller}`, { ...place, width: WIDTH * 0.75 }, style)
      this.text(`Page ${page + 1} of ${count}`, { ...place, align: 'right' }, style)
    }
    this.pdf.end()
    const chunks: Buffer[] = []
    for await (const chunk of this.pdf) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }

  private left(width: number): Place {
    return { x: PAGE.margin, y: this.y, width }
  }

  private right(width: number): Place {
    return { x: PAGE.margin + WIDTH - width, y: this.y, width }
  }

  private addPage(): void {
    this.pdf.addPage()
    this.y = PAGE.margin
  }

  /** Begins a page where less than this is left. */
  private keep(height: number): void {
    if (this.y + height > BOTTOM) this.addPage()
  }

  private tableHead(columns: readonly Column[]): void {
    let end = this.y
    this.eachColumn(columns, (place, at) => {
      const { title, isFigure } = columns[at] as Column
      const style = { size: 8, isBold: true, color: SOFT }
      end = Math.max(end, this.text(title, { ...place, align: isFigure ? 'right' : 'left' }, style, 2))
    })
    this.y = end + 2
    this.rule(0.8)
  }

  private eachColumn(columns: readonly Column[], draw: (place: Place, at: number) => void): void {
    let x = PAGE.margin
    for (const [at, { share }] of columns.entries()) {
      draw({ x, y: this.y, width: share * WIDTH - (at === columns.length - 1 ? 0 : CELL.gap) }, at)
      x += share * WIDTH
    }
  }

  private cell({ text, note }: Cell, { share, isFigure }: Column): { height: number; draw: (place: Place) => void } {
    if (isFigure) {
      const draw = (place: Place) => this.figure(text, place, { size: CELL.size })
      return { height: CELL.size * LINE_HEIGHT, draw }
    }
    const width = share * WIDTH - CELL.gap
    const parts = [
      { style: { size: CELL.size }, ...this.lines(text, width, { size: CELL.size }, CELL.linesMax) },
      ...(note === undefined
        ? []
        : [{ style: { size: CELL.noteSize, color: SOFT }, ...this.lines(note, width, { size: CELL.noteSize }, 2) }]),
    ]
    const heightOf = (part: (typeof parts)[number]) => part.lines.length * part.style.size * LINE_HEIGHT
    return {
      height: parts.reduce((sum, part) => sum + heightOf(part), 0),
      draw: (place) => {
        let { y } = place
        for (const part of parts) y = this.draw(part, { ...place, y }, part.style)
      },
    }
  }

  /** Writes a text, in as many lines as it may take, and returns where it ends. */
  private text(text: string, place: Place, style: Style = {}, linesMax = 1): number {
    return this.draw(this.lines(text, place.width, style, linesMax), place, style)
  }

  /** At the right, in one line, smaller where it would not fit. */
  private figure(text: string, place: Place, style: Style): void {
    const { size = 9 } = style
    const width = this.use(style).widthOfString(text)
    const fitting = width > place.width ? (size * place.width) / width : size
    this.draw({ lines: [text], isRightToLeft: false }, { ...place, align: 'right' }, { ...style, size: fitting })
  }

  private lines(
    text: string,
    width: number,
    style: Style,
    linesMax: number,
  ): { lines: string[]; isRightToLeft: boolean } {
    const shown = this.cleaned(text)
    const pdf = this.use(style)
    const lines = wrap(shown, { width, linesMax, widthOf: (part) => pdf.widthOfString(part) })
    return { lines, isRightToLeft: readsRightToLeft(shown) }
  }

  private draw(
    { lines, isRightToLeft }: { lines: readonly string[]; isRightToLeft: boolean },
    { x, y, width, align = isRightToLeft ? 'right' : 'left' }: Place,
    style: Style,
  ): number {
    const pdf = this.use(style)
    for (const [index, line] of lines.entries()) {
      // With features a run is shaped as a whole, and turned; without, word by word.
      const runs = runsOf(line, isRightToLeft).map((run) => ({
        text: run.text,
        options: { lineBreak: false, ...(run.isRightToLeft ? { features: [] } : {}) },
      }))
      const widths = runs.map((run) => pdf.widthOfString(run.text, run.options))
      let at = align === 'right' ? x + width - widths.reduce((sum, one) => sum + one, 0) : x
      for (const [nth, run] of runs.entries()) {
        pdf.text(run.text, at, y + index * sizeOf(style) * LINE_HEIGHT, run.options)
        at += widths[nth] as number
      }
    }
    return y + lines.length * sizeOf(style) * LINE_HEIGHT
  }

  private use(style: Style): PDFKit.PDFDocument {
    return this.pdf
      .font(style.isBold ? 'bold' : 'regular')
      .fontSize(sizeOf(style))
      .fillColor(style.color ?? INK)
  }

  private rule(weight: number, from = PAGE.margin): void {
    this.pdf
      .moveTo(from, this.y)
      .lineTo(PAGE.margin + WIDTH, this.y)
      .lineWidth(weight)
      .strokeColor(RULE)
      .stroke()
  }

  private cleaned(text: string): string {
    const { regular, bold } = this.fonts
    return printable(text, (code) => regular.hasGlyphForCodePoint(code) && bold.hasGlyphForCodePoint(code))
  }
}

function sizeOf({ size = 9 }: Style): number {
  return size
}

let opened: Fonts | null = null

/** Opened once: to read their tables takes longer than to write a page. */
function fonts(): Fonts {
  opened ??= {
    regular: open(require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')),
    bold: open(require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf')),
  }
  return opened
}

function open(path: string): Font {
  return create(readFileSync(path)) as Font
}
