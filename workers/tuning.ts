import type { TaskQueue } from '../workflows/contract'

/** One queue's share of a process. */
export const TUNING = {
  maxConcurrentWorkflowTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 100,
  maxConcurrentActivityTaskExecutions: 40,
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
  activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
} as const

/**
 * How many a process keeps in memory. Most checkouts are over in one task and leave the cache; those that wait for a customer
 * are replayed when something happens. Most orders wait for weeks in nobody's cache; those that were woken leave it again soon.
 */
export const CACHED_WORKFLOWS: Readonly<Record<TaskQueue, number>> = { checkout: 100, fulfillment: 20, platform: 100 }
