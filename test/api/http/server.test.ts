import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Server } from 'node:http'
import express, { type Express } from 'express'
import { closeServer, createHttpServer } from '../../../api/http/server'

let server: Server
let app: Express
beforeEach(async () => {
  app = express()
  server = createHttpServer(app, { sendIfReady: () => false })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => closeServer(server, 0))

describe('the server', () => {
  it("makes requests and responses of Express's own prototypes, so that Express changes none", async () => {
    let same = false
    let changes = 0
    const setPrototypeOf = Object.setPrototypeOf
    const spy = jest.spyOn(Object, 'setPrototypeOf').mockImplementation((target, prototype) => {
      const ours = prototype === app.request || prototype === app.response
      if (ours && Object.getPrototypeOf(target) !== prototype) changes++
      return setPrototypeOf(target, prototype)
    })
    app.get('/', (request, response) => {
      same = Object.getPrototypeOf(request) === app.request && Object.getPrototypeOf(response) === app.response
      response.json({ path: request.path, ip: request.ip })
    })
    const answer = await fetch(urlOf())
    expect(await answer.json()).toEqual({ path: '/', ip: '127.0.0.1' })
    expect(same).toBe(true)
    expect(spy).toHaveBeenCalled()
    expect(changes).toBe(0)
    spy.mockRestore()
  })

  it('answers what is no HTTP with a problem, and closes', async () => {
    const answer = await converse('NONSENSE\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('application/problem+json')
    expect(answer).toContain('"code":"validation_failed"')
  })

  it('answers headers beyond all measure with 431', async () => {
    expect(await converse(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
  })
})

describe('stopping', () => {
  it('finishes what is in hand and takes nothing new', async () => {
    let finish: () => void = () => undefined
    const begun = new Promise<void>((reached) => {
      app.get('/', (_request, response) => {
        finish = () => response.json({ done: true })
        reached()
      })
    })
    const answer = fetch(urlOf())
    const url = urlOf()
    await begun
    const closed = closeServer(server, 10_000)
    await expect(fetch(url)).rejects.toThrow()
    finish()
    expect(await (await answer).json()).toEqual({ done: true })
    await closed
  })

  it('does not wait for idle connections, and at the deadline for no others', async () => {
    app.get('/', (_request, response) => void response.json({}))
    app.get('/never', () => undefined)
    await fetch(urlOf())
    const stuck = expect(fetch(`${urlOf()}/never`)).rejects.toThrow()
    await once(server, 'request')
    const startedAt = performance.now()
    await closeServer(server, 200)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await stuck
  })
})

function urlOf(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function converse(text: string): Promise<string> {
  const socket: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(text)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}
