import type { ShipmentId } from '../ids'
import type { Goods } from './goods'
import type { CommandBook } from './rows'
import type { CommandKind } from './shipment'

/** What somebody asked for that is not done at once. */
export function addCommand(
  goods: Goods,
  kind: CommandKind,
  { shipmentId, detail, actor }: Pick<CommandBook, 'shipmentId' | 'detail' | 'actor'>,
): CommandBook {
  const id = goods.context.newIds.command()
  const command: CommandBook = { id, shipmentId, kind, state: 'pending', code: null, detail, actor }
  goods.commands.push(command)
  return command
}

/** What was asked for a shipment is done, or (`code`) will not be. True when somebody waited for it. */
export function answer(goods: Goods, kind: CommandKind, shipmentId: ShipmentId, code: string | null): boolean {
  const waiting = goods.commands.filter(
    (command) => command.state === 'pending' && command.kind === kind && command.shipmentId === shipmentId,
  )
  for (const command of waiting) settle(command, code)
  return waiting.length > 0
}

export function settle(command: CommandBook, code: string | null): void {
  command.state = code === null ? 'done' : 'refused'
  command.code = code
}
