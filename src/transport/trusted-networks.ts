/** The networks of trusted proxies, which are believed about the address of their client. */
import { BlockList, isIPv4 } from 'node:net'
import { plainAddress } from './address.ts'

/** Whether a connection from this IP address is one of theirs. */
export type Trust = (address: string) => boolean

/** One address, or a block of them: `10.0.0.0/8`, `2001:db8::/32`. */
export function isCidr(text: string): boolean {
  return parse(text) !== undefined
}

/** Throws when one of them is no CIDR. */
export function trustOf(cidrs: readonly string[]): Trust {
  if (cidrs.length === 0) return () => false
  // Two lists: Node would look for an IPv4 address in IPv6 blocks too, as a mapped address, and ::/0 would contain all of them.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const cidr of cidrs) {
    const block = parse(cidr)
    if (block === undefined) throw new TypeError(`'${cidr}' is no CIDR`)
    const family = familyOf(block.address)
    lists[family].addSubnet(block.address, block.prefix, family)
  }
  return address => {
    const plain = plainAddress(address)
    return plain !== undefined && lists[familyOf(plain)].check(plain, familyOf(plain))
  }
}

interface Block {
  readonly address: string
  readonly prefix: number
}

function parse(text: string): Block | undefined {
  const [, written = '', length] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const address = plainAddress(written)
  if (address === undefined) return undefined
  const isMapped = isIPv4(address) && written.includes(':')
  const bits = written.includes(':') ? 128 : 32
  const prefix = length === undefined ? bits : Number(length)
  if (prefix > bits || (isMapped && prefix < 96)) return undefined
  return { address, prefix: isMapped ? prefix - 96 : prefix }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6'
}

/**
 * The client's address by X-Forwarded-For: from the right, the first that is none of the trusted proxies; what stands left of it
 * may be the client's own invention. `peer`: the address that the request came from. A part that is no address ends the search:
 * the address before it counts as the client.
 */
export function forwardedFor(header: string | undefined, peer: string, trusts: Trust): string {
  let nearest = peer
  for (const hop of (header ?? '').split(',').toReversed()) {
    const next = plainAddress(withoutPort(hop.trim()))
    if (next === undefined || !trusts(nearest)) return nearest
    nearest = next
  }
  return nearest
}

/** Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop
}
