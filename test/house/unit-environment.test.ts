import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { Client } from 'pg'

/** By another way than an import, which would make this an integration test. */
const processes = createRequire(__filename)(['node:child', 'process'].join('_'))

const ends = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'it went through',
    (error: Error & { cause?: Error }) => (error.cause ?? error).message,
  )

describe('a unit test', () => {
  it.each(['spawn', 'exec', 'execFile', 'fork', 'spawnSync', 'execSync', 'execFileSync'])(
    'starts no process by %s',
    (name) => {
      expect(() => processes[name]('true')).toThrow('A unit test starts no process')
    },
  )

  it('connects to no service', async () => {
    const refused = expect.stringContaining('connects only to servers of its own')
    expect(await ends(fetch('http://127.0.0.1:5440'))).toEqual(refused)
    expect(await ends(new Client({ connectionString: 'postgres://a:b@127.0.0.1:5440/c' }).connect())).toEqual(refused)
  })

  describe('with a server of its own', () => {
    let server: Server
    beforeAll((done) => {
      server = createServer((_request, response) => response.end('here')).listen(0, '127.0.0.1', done)
    })
    afterAll(() => void server.close())

    it('connects to that', async () => {
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      expect(await answer.text()).toBe('here')
    })
  })
})
