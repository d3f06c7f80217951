import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { onPath } from './path'

const ADVICE = 'Looking at the storefront needs Chromium on the PATH (Debian: `apt-get install chromium`).'

/** A headless Chromium: from the PATH, or, as root on Debian, from the distribution's package. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: find() ?? install(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  })
}

function find(): string | undefined {
  return onPath('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
}

function install(): string {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) throw new Error(ADVICE)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  execFileSync('apt-get', ['update', '-q'], { stdio: 'pipe' })
  execFileSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'chromium'], { stdio: 'pipe', env })
  const found = find()
  if (found === undefined) throw new Error(ADVICE)
  return found
}
