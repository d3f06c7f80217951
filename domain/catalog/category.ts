import { slugOf, slugWith } from './product'

/** The `category_depth` constraint: a root has depth 1. */
export const CATEGORY_DEPTH_MAX = 10
export const CATEGORY_TITLE_LENGTH_MAX = 100

/** One category of a path. Its slug has its ancestors' in it, so that `Kitchen/Mugs` and `Gifts/Mugs` are two. */
export interface CategoryStep {
  readonly slug: string
  readonly title: string
}

/** `"Kitchen / Mugs"` → Kitchen (`kitchen`) and in it Mugs (`kitchen-mugs`). Null when a title is empty or too long, or there are too many. */
export function categoryPath(text: string): CategoryStep[] | null {
  const titles = text.split('/').map((title) => title.trim())
  if (titles.length > CATEGORY_DEPTH_MAX) return null
  if (titles.some((title) => title === '' || title.length > CATEGORY_TITLE_LENGTH_MAX)) return null
  const steps: CategoryStep[] = []
  for (const title of titles) steps.push({ slug: categorySlug(title, steps.at(-1)?.slug), title })
  return steps
}

/** The slug of a category with this title, below one with the slug `parent`. */
export function categorySlug(title: string, parent?: string): string {
  return parent === undefined ? slugOf(title, 'category') : slugWith(parent, title)
}
