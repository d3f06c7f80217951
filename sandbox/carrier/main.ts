import { runProgram } from '../options'
import { startCarrier } from './carrier'

const USAGE = `The sandbox carrier: moves no real parcel, forgets nothing.

  node dist/sandbox/carrier/main.js --port <port> --journal <file> --webhook-url <url> --secret <whsec_…>

  --port         port to listen on; 0 picks a free one
  --journal      file that keeps every label; made when it is not there
  --webhook-url  where the events of parcels are sent
  --secret       signs the webhooks (Standard Webhooks, whsec_ and base64)
  --host         address to listen on (127.0.0.1)
  --public-url   where a browser reaches this program (http://<host>:<port>)
`

void runProgram({ name: 'carrier', usage: USAGE }, startCarrier)
