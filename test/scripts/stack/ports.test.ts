import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { choosePorts } from '../../../scripts/stack/ports'

const WISH = 31_000 + (process.pid % 1_000)

let folders: string[]
beforeEach(() => (folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'holdfast-ports-')))))
afterEach(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

test('a folder keeps its ports, and a second folder gets others while the first is in use', async () => {
  const [one, other] = folders as [string, string]
  const said: string[] = []
  const first = await choosePorts(one, { api: WISH }, () => undefined)
  const second = await choosePorts(other, { api: WISH }, (line) => said.push(line))
  expect(first.ports).toEqual({ api: WISH })
  expect(second.ports).toEqual({ api: WISH + 10 })
  expect(said).toEqual([`Port ${WISH} for api is taken by the Holdfast in ${one}, trying ${WISH + 10}.`])
  first.release()
  second.release()
  const again = await choosePorts(other, { api: WISH }, () => undefined)
  expect(again.ports).toEqual({ api: WISH + 10 })
  again.release()
})

test('a port taken by a stranger is named and another one is remembered', async () => {
  const [folder] = folders as [string]
  const stranger = await listen(WISH)
  const said: string[] = []
  const chosen = await choosePorts(folder, { api: WISH, worker: WISH + 5 }, (line) => said.push(line))
  expect(chosen.ports).toEqual({ api: WISH + 10, worker: WISH + 5 })
  expect(said).toEqual([`Port ${WISH} for api is taken by another program, trying ${WISH + 10}.`])
  expect(JSON.parse(readFileSync(join(folder, 'ports.json'), 'utf8'))).toEqual(chosen.ports)
  chosen.release()
  await new Promise((done) => stranger.close(done))
})

function listen(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}
