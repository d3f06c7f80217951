import { join } from 'node:path'
import PDFDocument from 'pdfkit'
import { barcode } from './barcode'
import type { Address, LabelRecord } from './label'

/** Points: 4 by 6 inches, as label printers have it. */
const SIZE: [number, number] = [288, 432]
const MARGIN = 18
const WIDTH = SIZE[0] - 2 * MARGIN

/** Covers Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic letters. */
const FONTS = join(require.resolve('dejavu-fonts-ttf/package.json'), '..', 'ttf')

/** The label as it is printed: who it comes from, who it goes to, its number to be read by people and by scanners. */
export function labelPdf(label: LabelRecord): Promise<Buffer> {
  const document = new PDFDocument({
    size: SIZE,
    margin: MARGIN,
    info: { Title: `Label ${label.tracking_number}`, CreationDate: new Date(label.created_at) },
  })
  document.registerFont('regular', join(FONTS, 'DejaVuSans.ttf'))
  document.registerFont('bold', join(FONTS, 'DejaVuSans-Bold.ttf'))
  const chunks: Buffer[] = []
  document.on('data', (chunk: Buffer) => chunks.push(chunk))
  const whole = new Promise<Buffer>((resolve, reject) => {
    document.on('end', () => resolve(Buffer.concat(chunks)))
    document.on('error', reject)
  })
  draw(document, label)
  document.end()
  return whole
}

function draw(document: PDFKit.PDFDocument, label: LabelRecord): void {
  const { from, to, boxes, service } = label.request
  const grams = boxes.reduce((sum, { weight_grams }) => sum + weight_grams, 0)
  document.font('bold').fontSize(16).text('SANDBOX CARRIER', MARGIN, MARGIN)
  document
    .font('regular')
    .fontSize(9)
    .text(`${service} · ${boxes.length === 1 ? '1 box' : `${boxes.length} boxes`} · ${grams} g`)
  if (label.status === 'voided') document.font('bold').fontSize(16).text('VOID')
  rule(document, 66)
  document.font('regular').fontSize(7).text('From', MARGIN, 72)
  document.fontSize(7).text(linesOf(from).join('\n'), { height: 70, ellipsis: true })
  rule(document, 160)
  document.font('regular').fontSize(8).text('To', MARGIN, 168)
  document.font('bold').fontSize(11).text(linesOf(to).join('\n'), { height: 130, ellipsis: true })
  rule(document, 318)
  drawBars(document, label.tracking_number, 328)
  document.font('bold').fontSize(12).text(spaced(label.tracking_number), MARGIN, 396, { width: WIDTH, align: 'center' })
}

function drawBars(document: PDFKit.PDFDocument, digits: string, top: number): void {
  const { bars, width } = barcode(digits)
  const unit = WIDTH / width
  for (const bar of bars) document.rect(MARGIN + bar.left * unit, top, bar.width * unit, 60)
  document.fill('black')
}

function rule(document: PDFKit.PDFDocument, top: number): void {
  document
    .moveTo(MARGIN, top)
    .lineTo(MARGIN + WIDTH, top)
    .stroke()
}

function linesOf({ name, company, line1, line2, city, region, postal_code, country }: Address): string[] {
  const place = [postal_code, city, region].filter(Boolean).join(' ')
  return [name, company, line1, line2, place, country].filter((line): line is string => Boolean(line))
}

function spaced(digits: string): string {
  return digits.replaceAll(/(\d{4})(?=\d)/g, '$1 ')
}
