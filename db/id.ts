import { TypeID, typeid } from 'typeid-js'
import { ID_PREFIXES, type Id, type Noun } from '../domain/ids'

/** A new TypeID of this noun (`newId('order')` → `order_01h…`). It sorts by time of creation. */
export function newId<N extends Noun>(noun: N): Id<N> {
  return typeid(ID_PREFIXES[noun]).toString() as Id<N>
}

/** The smallest id that this noun can have had at that time: ids sort by time, so it begins a range of them. */
export function lowestIdAt<N extends Noun>(noun: N, time: Date): Id<N> {
  const milliseconds = time.getTime().toString(16).padStart(12, '0')
  const uuid = `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-7000-8000-000000000000`
  return TypeID.fromUUID(ID_PREFIXES[noun], uuid).toString() as Id<N>
}
