import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../config'

test.each(['api', 'workers'])(
  'without a payment provider %s does not start in production, and says why in one line',
  async (program) => {
    const ending = promisify(execFile)(process.execPath, [join(ROOT, 'dist', program, 'main.js')], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'production', TOKEN_SECRET: 'a secret of its own, long enough' },
      timeout: 20_000,
    })
    await expect(ending).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'NODE_ENV=production has no payment provider: set STRIPE_SECRET_KEY.\n',
    })
  },
)
