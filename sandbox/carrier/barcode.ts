/** Code 39 of digits: the nine bars and spaces of each character, bars first; 1 is a wide one. `*` begins and ends. */
const CHARACTERS: Readonly<Record<string, string>> = {
  '0': '000110100',
  '1': '100100001',
  '2': '001100001',
  '3': '101100000',
  '4': '000110001',
  '5': '100110000',
  '6': '001110000',
  '7': '000100101',
  '8': '100100100',
  '9': '001100100',
  '*': '010010100',
}

const WIDE = 2.5

export interface Bar {
  readonly left: number
  readonly width: number
}

/** The bars of a number, in narrow widths from the left, and how wide all of it is. */
export function barcode(digits: string): { readonly bars: readonly Bar[]; readonly width: number } {
  const bars: Bar[] = []
  let left = 0
  for (const character of `*${digits}*`) {
    const pattern = CHARACTERS[character] ?? ''
    for (let place = 0; place < pattern.length; place++) {
      const width = pattern[place] === '1' ? WIDE : 1
      if (place % 2 === 0) bars.push({ left, width })
      left += width
    }
    left += 1
  }
  return { bars, width: left - 1 }
}
