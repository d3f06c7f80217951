import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'

/** Addresses that only machines of our own network can reach: nobody outside may make us call them. */
const PRIVATE = { ipv4: new BlockList(), ipv6: new BlockList() }
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  PRIVATE.ipv4.addSubnet(net, bits, 'ipv4')
for (const [net, bits] of [
  // The unspecified address, loopback and IPv4 in the clothes of IPv6.
  ['::', 64],
  ['64:ff9b::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const)
  PRIVATE.ipv6.addSubnet(net, bits, 'ipv6')

/** True for the IP address of a private network, and for what is no IP address at all. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return true
  return family === 6 ? PRIVATE.ipv6.check(address, 'ipv6') : PRIVATE.ipv4.check(address, 'ipv4')
}

/** What is wrong with an address that we are to call, in words; null: nothing that its text shows. */
export function refusalOfUrl(text: string, { allowPrivate }: { allowPrivate: boolean }): string | null {
  if (!URL.canParse(text)) return 'Send a URL.'
  const { protocol, hostname, username, password } = new URL(text)
  if (protocol !== 'https:' && !(allowPrivate && protocol === 'http:')) return 'Send an https address.'
  if (username !== '' || password !== '') return 'Send an address without a user and a password.'
  if (allowPrivate) return null
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const isOurs = isIP(host) > 0 ? isPrivateAddress(host) : /(^|\.)(localhost|local|internal)\.?$/.test(host)
  return isOurs ? 'Send an address that the public Internet can reach.' : null
}

type Found = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/** `dns.lookup` that finds no private addresses: a name may have been given another address since it was checked. */
export function lookupPublic(hostname: string, options: LookupOptions, found: Found): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return found(error, [])
    const open = addresses.filter(({ address }) => !isPrivateAddress(address))
    const [first] = open
    if (!first) return found(new Error(`${hostname} is in a private network`), [])
    if (options.all) found(null, open)
    else found(null, first.address, first.family)
  })
}
