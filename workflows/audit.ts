import type { Audit } from '../activities/support/audit'
import { runAudit } from './proxies'

/** Compares Postgres, providers, Redis and Temporal once. A workflow, because the API may not call a provider. */
export async function audit(): Promise<Audit> {
  return runAudit()
}
