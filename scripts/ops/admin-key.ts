import { parseArgs } from 'node:util'
import { readSettings } from '../../config'
import { createApiKey, ROLES, type Role } from '../../db/platform/api-key'
import { createPool } from '../../db/pool'

/** `npm run admin-key -- --name ops --role admin`: makes a key and prints it, this once. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { name: { type: 'string' }, role: { type: 'string', default: 'admin' } } })
  if (!values.name || !isRole(values.role)) {
    throw new Error(`Say --name and --role, one of ${ROLES.join(', ')}.`)
  }
  const pool = createPool(readSettings(), { name: 'holdfast-admin-key' })
  try {
    const { secret } = await createApiKey(pool, { name: values.name, role: values.role, expiresAt: null })
    console.log(secret)
  } finally {
    await pool.end()
  }
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text)
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
