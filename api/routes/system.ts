import { z } from 'zod'
import { defineRoute, type Route } from '../route'

const livez = defineRoute({
  method: 'get',
  path: '/livez',
  tag: 'System',
  summary: 'Whether the process answers',
  caller: 'anyone',
  answers: { 200: z.object({ status: z.literal('ok') }) },
}).handle(async () => ({ status: 200, body: { status: 'ok' } }))

export const systemRoutes: readonly Route[] = [livez]
