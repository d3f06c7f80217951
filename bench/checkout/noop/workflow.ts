import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow'

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '10s' })

/** The control: what the same Temporal server makes of a workflow with one activity that does nothing. */
export async function noop(): Promise<void> {
  await nothing()
}

/** Waits for the signal `goOn`. */
export async function waiting(): Promise<void> {
  let isOver = false
  setHandler(defineSignal('goOn'), () => {
    isOver = true
  })
  await condition(() => isOver)
}
