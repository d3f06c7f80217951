import { type LookupAddress, promises } from 'node:dns'
import { isPrivateAddress, lookupPublic } from '../../../providers/warehouse/address'

it.each([
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.9.9.9', '169.254.169.254', '172.31.0.1', '192.168.1.1', '224.0.0.1'],
  ...['255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', 'fc00::1', 'fd12::1'],
  ...['fe80::1', 'ff02::1', '2002:7f00:1::', 'example.com', ''],
])('%j is private, or no address', (address) => expect(isPrivateAddress(address)).toBe(true))

it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2001:4860:4860::8888'])('%j is public', (address) =>
  expect(isPrivateAddress(address)).toBe(false),
)

it.each([true, false])('finds no private address by its name (all: %s)', async (all) => {
  await expect(promises.lookup('localhost')).resolves.toBeDefined()
  const found = new Promise<string | LookupAddress[]>((resolve, reject) =>
    lookupPublic('localhost', { all }, (error, address) => (error ? reject(error) : resolve(address))),
  )
  await expect(found).rejects.toThrow('localhost is in a private network')
})
