import type { AddressInfo } from 'node:net'
import express from 'express'

/** The control of page benchmarks: Express as it comes, answering one small object. Says its port on standard output. */
const app = express()
app.get('/', (_request, response) => {
  response.json({ hello: 'world' })
})
const server = app.listen(0, '127.0.0.1', () => {
  console.log((server.address() as AddressInfo).port)
})
