import { randomUUID } from 'node:crypto'
import type { Client } from '@temporalio/client'
import { describeDeployment, describeQueue, makeCurrent, workerVersioning } from '../../deployment'
import { prepareNamespace } from '../../scripts/stack/namespace'
import { testServices } from './services'
import { until } from './wait'

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

const TEST_BUILD = 'test'

/** Workers of a test are versioned as in production: Temporal refuses what a workflow says of its build from any other. */
export const TEST_VERSIONING = workerVersioning(TEST_BUILD)

/** Waits until Temporal has heard of the workers, and gives this queue's work to them. */
export async function testBuildIsCurrent(temporal: Client, taskQueue: string): Promise<void> {
  await until('the build of the test is current', async () => {
    const deployment = await describeDeployment(temporal)
    if (deployment && deployment.current === null) await makeCurrent(temporal, TEST_BUILD, deployment.token)
    return (await describeQueue(temporal, taskQueue)).current === TEST_BUILD
  })
}
