import { randomUUID } from 'node:crypto'
import { prepareNamespace } from '../../scripts/stack/namespace'
import { testServices } from './services'

export interface TestNamespace {
  /** host:port */
  readonly address: string
  /** With all search attributes; fixed task queues and workflow ids cannot meet those of another test in it. */
  readonly namespace: string
}

/** A Temporal namespace of the caller's own, in a second at most. */
export async function testNamespace(): Promise<TestNamespace> {
  const address = testServices().temporal
  const namespace = `test-${randomUUID()}`
  await prepareNamespace(address, namespace)
  return { address, namespace }
}
