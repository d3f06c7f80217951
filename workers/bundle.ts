import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleWorkflowCode } from '@temporalio/worker'
import { ROOT } from '../config'
import { BUILD_ID_PATH, buildIdOf } from './build-id'

/** The workflows as one file, made when the project is compiled: a worker that starts need not bundle. */
export const BUNDLE_PATH = join(ROOT, 'dist', 'workflow-bundle.js')

export async function buildWorkflowBundle(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'dist', 'workflows', 'index.js'),
    logger: { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: console.warn, error: console.error },
  })
  await writeFile(BUNDLE_PATH, code)
  await writeFile(BUILD_ID_PATH, `${buildIdOf(code)}\n`)
}

function ignore(): void {
  // Its progress is of no interest.
}
