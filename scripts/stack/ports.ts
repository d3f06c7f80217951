import { connect, createServer } from 'node:net'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { claim, release } from './claim'
import { cacheFolder, readJson, writeJson } from './files'
import type { Say } from './say'

/** Ports by name, as `.holdfast/ports.json` keeps them. */
export type Ports = Record<string, number>

/**
 * One port for each name: the one used last time, else the preferred one, else a free one near it. A claim in the
 * user's cache folder keeps two clones that start at the same moment apart. The choice is remembered in the folder.
 */
export async function choosePorts(
  folder: string,
  preferred: Ports,
  say: Say,
): Promise<{ ports: Ports; release(): void }> {
  const file = join(folder, 'ports.json')
  const remembered: Ports = readJson<Ports>(file) ?? {}
  const ports: Ports = {}
  const claims: string[] = []
  for (const [name, wish] of Object.entries(preferred)) {
    const first = remembered[name] ?? wish
    for (let port = first; ; port += 10) {
      const path = claimPath(port)
      const holder = claim(path, folder)
      if (holder === undefined) {
        claims.push(path)
        if (await isFree(port)) {
          ports[name] = port
          break
        }
        release(path)
        claims.pop()
      }
      const by = holder === undefined ? 'another program' : `the Holdfast in ${holder.folder}`
      say(`Port ${port} for ${name} is taken by ${by}, trying ${port + 10}.`)
    }
  }
  writeJson(file, { ...remembered, ...ports })
  return { ports, release: () => claims.forEach(release) }
}

/** True when something listens there. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const finish = (open: boolean): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}

function claimPath(port: number): string {
  const folder = join(cacheFolder(), 'ports')
  mkdirSync(folder, { recursive: true })
  return join(folder, String(port))
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}
