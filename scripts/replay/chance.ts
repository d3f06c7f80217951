import { createHash } from 'node:crypto'
import { Random } from '../chaos/random'

/** What is left to chance depends on the seed and on what it is about alone, never on who comes first. */
export function chanceOf(seed: number, what: string, about: string): Random {
  return new Random(createHash('sha256').update(`${seed} ${what} ${about}`).digest().readInt32BE())
}
