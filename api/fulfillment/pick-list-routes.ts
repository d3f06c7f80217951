import { z } from 'zod'
import { readPickList } from '../../db/fulfillment/read'
import { findWarehouse } from '../../db/inventory/warehouse'
import { DomainError } from '../../domain/errors'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, pathId } from '../http/schemas'

const pickLine = z
  .strictObject({
    sku: z.string(),
    title: z.string(),
    quantity: z.int(),
    shipments: z.array(z.strictObject({ id: idOf('shipment'), quantity: z.int() })),
  })
  .meta({ id: 'PickLine' })

const getPickList = defineRoute({
  method: 'get',
  path: '/v1/admin/warehouses/{id}/pick-list',
  tag: 'Shipments',
  summary: 'What is to be picked in a warehouse, by SKU',
  description: 'Of shipments that nobody has picked yet. Those of orders on hold are left out.',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('warehouse'),
  query: listPageQuery.extend({
    wave: z
      .string()
      .regex(/^[!-~]{1,40}$/, 'Send the name of a wave, such as 2026-11-30.')
      .optional()
      .meta({ description: 'only this wave: the day on which a shipment was allocated', example: '2026-11-30' }),
  }),
  answers: { 200: listPageOf(pickLine).meta({ id: 'PickListPage' }), 404: ['not_found'] },
}).handle(async ({ params, query }, { pool }) => {
  if (!(await findWarehouse(pool, params.id))) throw new DomainError('not_found', 'There is no such warehouse.')
  const after = readCursor(query.cursor, (key): key is string => typeof key === 'string') ?? ''
  const page = { warehouseId: params.id, wave: query.wave ?? null, after, limit: query.limit + 1 }
  const lines = await readPickList(pool, page)
  return {
    status: 200,
    body: listPageFrom(lines, query.limit, {
      keyOf: ({ sku }) => sku,
      present: ({ shipments, ...line }) => ({ ...line, shipments: [...shipments] }),
    }),
  }
})

export const pickListRoutes: readonly Route[] = [getPickList]
