import { setCurrentDetails } from '@temporalio/workflow'
import type { Slice } from '../activities/recommendation'
import {
  countSales,
  forgetGathered,
  gatherFeatures,
  gatherOrders,
  rankCategories,
  rankVelocity,
  recommendProducts,
} from './proxies'

export interface RecommendationsDone {
  readonly days: number
  readonly products: number
}

/**
 * Counts what was sold and computes what goes with what, a slice of some seconds at a time: killed, it goes on after the
 * last slice. Until a product's turn has come its old lists are served; each list is replaced in one statement.
 */
export async function recommendations(): Promise<RecommendationsDone> {
  setCurrentDetails('Counting what was sold.')
  const { days } = await countSales()
  await inSlices('products ranked by how well they sell', rankVelocity)
  await inSlices('categories ranked', rankCategories)
  await inSlices('orders gathered', gatherOrders)
  await inSlices('products described', gatherFeatures)
  const products = await inSlices('products with their recommendations', recommendProducts)
  await forgetGathered()
  setCurrentDetails(`Done: ${products} products.`)
  return { days, products }
}

async function inSlices<Id extends string>(
  what: string,
  step: (input: { after: Id | null }) => Promise<Slice<Id>>,
): Promise<number> {
  let total = 0
  let after: Id | null = null
  do {
    const { after: last, done }: Slice<Id> = await step({ after })
    total += done
    after = last
    setCurrentDetails(`${total} ${what}. Cancel this workflow to stop; what was computed stays.`)
  } while (after !== null)
  return total
}
