import type { AttributeDefinition } from '../../domain/catalog/attribute'

/** What the words of a title tell of a product of the demo shop. The first rule whose words it has decides. */

type Rule = readonly [name: string, words: RegExp]

interface DemoCategory {
  readonly title: string
  /** The last category takes what no other one does. */
  readonly words?: RegExp
  readonly below: readonly Rule[]
}

const DEMO_CATEGORIES: readonly DemoCategory[] = [
  {
    title: 'Seasonal',
    words:
      /\b(?:christmas|xmas|advent|baubles?|santa|reindeer|snow\w*|noel|easter|halloween|valentine\w*|bunny|chick)\b/i,
    below: [
      ['Easter', /\b(?:easter|bunny|chick)\b/i],
      ['Christmas', /\b(?:christmas|xmas|advent|baubles?|santa|reindeer|snow\w*|noel)\b/i],
    ],
  },
  {
    title: 'Jewellery',
    words:
      /\b(?:necklaces?|neckl|bracelets?|earrings?|brooch\w*|charms?|bangles?|diamante|pendants?|hair\w*|bead\w*|rings?|jewellery)\b/i,
    below: [
      ['Necklaces & Pendants', /\b(?:necklaces?|neckl|pendants?)\b/i],
      ['Bracelets & Bangles', /\b(?:bracelets?|bangles?)\b/i],
      ['Earrings', /\bearrings?\b/i],
      ['Hair', /\bhair\w*\b/i],
      ['Key Rings & Charms', /\b(?:key|charms?|phone)\b/i],
      ['Rings & Brooches', /\b(?:rings?|brooch\w*)\b/i],
    ],
  },
  {
    title: 'Bags',
    words: /\b(?:bags?|purses?|wallets?|handbags?|shoppers?|umbrellas?|luggage|suitcases?|satchels?|passport)\b/i,
    below: [
      ['Lunch Bags', /\blunch\b/i],
      ['Purses & Wallets', /\b(?:purses?|wallets?)\b/i],
      ['Umbrellas', /\bumbrellas?\b/i],
      ['Travel', /\b(?:travel|luggage|suitcases?|passport|airline|holiday)\b/i],
      ['Shopping & Handbags', /\b(?:bags?|handbags?|shoppers?|satchels?)\b/i],
    ],
  },
  {
    title: 'Kitchen',
    words:
      /\b(?:mugs?|cups?|bowls?|plates?|cakes?|tea|teapots?|teatime|teacups?|coffee|kitchen|cutlery|jars?|jugs?|baking|lunch\w*|dinner|napkins?|aprons?|bottles?|spoons?|egg|tins?|trays?|jam|jelly|popcorn|recipe|cookie|pantry|saucers?|doil\w+|breadbin|oven|pans?|chopsticks|straws|glass(?:es)? tumblers?|tumblers?)\b/i,
    below: [
      ['Cakes & Baking', /\b(?:cakes?|baking|doil\w+|recipe|cookie|pans?|measuring|fairy)\b/i],
      ['Mugs & Cups', /\b(?:mugs?|cups?|teacups?|saucers?|tumblers?)\b/i],
      ['Tea & Coffee', /\b(?:tea|teapots?|teatime|coffee|cosy)\b/i],
      ['Plates & Bowls', /\b(?:plates?|bowls?|dinner|cutlery|spoons?|chopsticks|trays?)\b/i],
      ['Jars, Tins & Bottles', /\b(?:jars?|tins?|bottles?|jugs?|breadbin|pantry|storage|jam)\b/i],
      ['Linen & Paper', /\b(?:napkins?|aprons?|towels?|oven|paper|straws)\b/i],
    ],
  },
  {
    title: 'Garden',
    words:
      /\b(?:garden\w*|plants?|planters?|parasols?|birds?|birdhouse|watering|flower ?pots?|seeds?|picnic|bbq|trellis|herb)\b/i,
    below: [
      ['Birds', /\b(?:birds?|birdhouse)\b/i],
      ['Plants & Pots', /\b(?:plants?|planters?|watering|pots?|seeds?|trellis|herb|marker)\b/i],
      ['Picnic & Parasols', /\b(?:picnic|parasols?|bbq)\b/i],
    ],
  },
  {
    title: 'Toys',
    words:
      /\b(?:toys?|games?|dolls?|dolly girl|jigsaws?|puzzles?|skittles|spaceboy|play\w*|soldiers?|dinosaurs?|robots?|puppets?|marbles|childrens?|childs|baby|circus|tattoos|magic|colouring|balloons?)\b/i,
    below: [
      ['Games & Puzzles', /\b(?:games?|jigsaws?|puzzles?|skittles|marbles|magic)\b/i],
      ['Dolls & Soft Toys', /\b(?:dolls?|dolly|soft|puppets?|playhouse)\b/i],
      ['Drawing & Colouring', /\b(?:drawing|colouring|pencils?|pens?|slate|writing)\b/i],
      ['Parties', /\b(?:party|balloons?|invites|circus)\b/i],
    ],
  },
  {
    title: 'Stationery',
    words:
      /\b(?:cards?|wrap|notebooks?|pencils?|pens?|stickers?|tape|ribbons?|paper|magnets?|stamps?|journal|letters?|envelopes?|calendar|book\w*|rulers?|eraser\w*|sharpener|tissues?|tags?|gift ?box\w*|sewing|knitting|craft\w*|felt\w*)\b/i,
    below: [
      ['Craft & Sewing', /\b(?:sewing|knitting|craft\w*|felt\w*|crochet)\b/i],
      ['Cards', /\b(?:cards?|envelopes?|postcards?)\b/i],
      ['Gift Wrap', /\b(?:wrap|ribbons?|gift ?box\w*|tags?|tissues?|tape)\b/i],
      [
        'Notebooks & Writing',
        /\b(?:notebooks?|pencils?|pens?|journal|book\w*|rulers?|eraser\w*|sharpener|calendar)\b/i,
      ],
      ['Stickers, Stamps & Magnets', /\b(?:stickers?|stamps?|magnets?)\b/i],
    ],
  },
  {
    title: 'Home',
    below: [
      [
        'Candles & Lights',
        /\b(?:candles?|candle\w+|candl|t-lights?|incense|lanterns?|lights?|lamps?|lampshade|votive|scent\w*)\b/i,
      ],
      ['Clocks & Mirrors', /\b(?:clocks?|mirrors?|mirrored)\b/i],
      ['Frames & Signs', /\b(?:frames?|photos?|pictures?|signs?|art|wall|font)\b/i],
      ['Cushions & Textiles', /\b(?:cushions?|covers?|throw|quilt|curtain|rug|flannel|blankets?)\b/i],
      ['Storage', /\b(?:boxe?s?|drawers?|cabinets?|baskets?|bins?|bucket|organiser|chest|rack|tidy|storage)\b/i],
      ['Doors & Hooks', /\b(?:doors?|doormats?|doorstops?|hooks?|knobs?|hangers?|bells?)\b/i],
      ['Bathroom', /\b(?:bathroom|soap|towels?|bath|washbag|toilet)\b/i],
      [
        'Decorations',
        /\b(?:decorations?|garlands?|bunting|wreaths?|ornaments?|hearts?|stars?|flowers?|mobile|hanging|feather|string|tree)\b/i,
      ],
    ],
  },
]

/** Ranges that are sold under a name of their own. */
const BRANDS: readonly Rule[] = [
  ['Charlie & Lola', /\bcharlie\s*(?:and|&|\+)\s*lola\b/i],
  ['Dolly Girl', /\bdolly girl\b/i],
  ['Spaceboy', /\bspace ?boy\b/i],
  ['Feltcraft', /\bfeltcraft\b/i],
  ["Poppy's Playhouse", /\bpoppy'?s playhouse\b/i],
  ['Suki', /\bsuki\b/i],
  ['William Morris', /\bmorris\b/i],
  ['Boudicca', /\bboudicca\b/i],
  ['Circus Parade', /\bcircus parade\b/i],
  ['Kings Choice', /\bkings choice\b/i],
  ['Tutti Frutti', /\btutti frutti\b/i],
]

const COLORS: readonly Rule[] = [
  ['Pink', /\b(?:pink|fuschia|fuchsia)\b/i],
  ['Blue', /\b(?:blue|navy|midnight)\b/i],
  ['Red', /\b(?:red|ruby)\b/i],
  ['White', /\bwhite\b/i],
  ['Green', /\b(?:green|olive)\b/i],
  ['Black', /\b(?:black|jet)\b/i],
  ['Silver', /\bsilver\b/i],
  ['Gold', /\bgold\b/i],
  ['Ivory', /\b(?:ivory|cream)\b/i],
  ['Purple', /\b(?:purple|amethyst|lilac|mauve)\b/i],
  ['Yellow', /\b(?:yellow|amber)\b/i],
  ['Turquoise', /\b(?:turquoise|turq)\b/i],
  ['Brown', /\b(?:brown|chocolate)\b/i],
  ['Orange', /\borange\b/i],
  ['Clear', /\bclear\b/i],
  ['Multicolour', /\b(?:multicolou?r|assorted|asstd|colou?rs?|pastel|rainbow)\b/i],
]

const MATERIALS: readonly Rule[] = [
  ['Glass', /\b(?:glass|murano|crystal)\b/i],
  ['Enamel', /\benamel\b/i],
  ['Zinc', /\bzinc\b/i],
  ['Metal', /\b(?:metal|iron|copper|brass|wire|aluminium|steel)\b/i],
  ['Wood', /\b(?:wood|wooden)\b/i],
  ['Ceramic', /\b(?:ceramic|porcelain|china)\b/i],
  ['Paper', /\b(?:paper|card|cardboard|decoupage)\b/i],
  ['Wicker', /\b(?:wicker|willow|rattan)\b/i],
  ['Felt', /\b(?:felt|feltcraft)\b/i],
  ['Cotton', /\b(?:cotton|linen|crochet)\b/i],
  ['Silk', /\b(?:silk|velvet|satin)\b/i],
  ['Slate', /\b(?:slate|stone)\b/i],
  ['Plastic', /\b(?:plastic|acrylic|melamine)\b/i],
]

const PATTERNS: readonly Rule[] = [
  ['Retrospot', /\bretro ?spot\b/i],
  ['Polka dot', /\b(?:polka ?dots?|spotty|spots?|dotty)\b/i],
  ['Paisley', /\bpaisley\b/i],
  ['Gingham', /\bgingham\b/i],
  ['Union Jack', /\bunion jack\b/i],
  ['Stripes', /\b(?:stripes?|striped|stripey)\b/i],
  ['Skulls', /\bskulls?\b/i],
  ['Butterflies', /\bbutterfl(?:y|ies)\b/i],
  ['Hearts', /\b(?:hearts?|sweetheart)\b/i],
  ['Stars', /\bstars?\b/i],
  ['Floral', /\b(?:floral|flowers?|roses?|rosebud|dais(?:y|ies)|blossom|botanical|posies)\b/i],
  ['Animals', /\b(?:dogs?|cats?|owls?|rabbits?|bunny|frogs?|birds?|hen|woodland|elephants?|monkey|fox)\b/i],
]

const SIZES: readonly Rule[] = [
  ['Small', /\b(?:small|mini|tiny|little|petite?)\b/i],
  ['Medium', /\bmedium\b/i],
  ['Large', /\b(?:large|big|tall)\b/i],
  ['Extra large', /\b(?:jumbo|giant|huge)\b/i],
]

/** `Set of 3`, `Set/6`, `Pack of 72`, `Box of 9`, `12 piece`, `36 Pencils`: two or more of a thing. */
const PIECES =
  /\b(?:set|pack|box|tube|bag)(?: of |\/| )?(\d{1,3})\b|\b(\d{1,3}) ?(?:pieces?|pcs?|pencils|hooks|sticks)\b/i

/** The attributes of every category, and so of every product. */
export const DEMO_ATTRIBUTES: readonly AttributeDefinition[] = [
  choice('color', 'Color', COLORS),
  choice('material', 'Material', MATERIALS),
  choice('pattern', 'Pattern', PATTERNS),
  choice('size', 'Size', SIZES),
  { ...choice('pieces', 'Pieces in a pack', []), type: 'number' },
]

/** The titles of the categories that make the tree's roots. */
export const DEMO_ROOTS: readonly string[] = DEMO_CATEGORIES.map(({ title }) => title)

/** `"Set of 3 Cake Tins Pantry Design"` → `"Kitchen/Cakes & Baking"`. */
export function demoCategory(title: string): string {
  const category = DEMO_CATEGORIES.find(({ words }) => words === undefined || words.test(title)) as DemoCategory
  const below = firstOf(category.below, title)
  return below === '' ? category.title : `${category.title}/${below}`
}

/** '' where the title tells none. */
export function demoBrand(title: string): string {
  return firstOf(BRANDS, title)
}

/** By name, in the order of the definitions; '' for what the title does not tell. */
export function demoAttributes(title: string): Record<string, string> {
  const [, ofSet, counted] = PIECES.exec(title) ?? []
  const pieces = Number(ofSet ?? counted ?? 0)
  return {
    color: firstOf(COLORS, title),
    material: firstOf(MATERIALS, title),
    pattern: firstOf(PATTERNS, title),
    size: firstOf(SIZES, title),
    pieces: pieces > 1 ? String(pieces) : '',
  }
}

function firstOf(rules: readonly Rule[], title: string): string {
  return rules.find(([, words]) => words.test(title))?.[0] ?? ''
}

function choice(name: string, label: string, rules: readonly Rule[]): AttributeDefinition {
  const options = rules.map(([option]) => option)
  return { name, label, type: 'enum', required: false, filterable: true, options, unit: null }
}
