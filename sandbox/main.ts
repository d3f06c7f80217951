import { runProgram } from './options'
import { startSandbox } from './sandbox'

const USAGE = `The sandbox payment provider: takes no real money, forgets nothing.

  node dist/sandbox/main.js --port <port> --journal <file> --webhook-url <url> --secret <whsec_…>

  --port         port to listen on; 0 picks a free one
  --journal      file that keeps every charge; made when it is not there
  --webhook-url  where changes of charges are sent
  --secret       signs the webhooks (Standard Webhooks, whsec_ and base64)
  --host         address to listen on (127.0.0.1)
  --public-url   where a customer's browser reaches this program (http://<host>:<port>)
`

void runProgram({ name: 'sandbox', usage: USAGE }, startSandbox)
