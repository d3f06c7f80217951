import type { Tx } from '../pool'

/** Advisory locks are numbers that a database shares: this class is the category tree's, as in the trigger `placed`. */
const TREE_LOCK_CLASS = 16_414

/**
 * Until the transaction ends nobody changes the tree or what its categories say of attributes: for whoever goes by them in
 * order to write. Taken before they are read.
 */
export async function lockTreeShared(tx: Tx): Promise<void> {
  await tx.query({ name: 'tree.hold', text: `select pg_advisory_xact_lock_shared(${TREE_LOCK_CLASS}, 0)` })
}

/** Until the transaction ends the tree is this one's alone: two moves at once can make no cycle. Waits for those who hold it. */
export async function lockTreeExclusive(tx: Tx): Promise<void> {
  await tx.query({ name: 'tree.lock', text: `select pg_advisory_xact_lock(${TREE_LOCK_CLASS}, 0)` })
}
