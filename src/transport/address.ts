/** Where a connection comes from and where it was accepted. */
import { isIP, isIPv6, type Socket, SocketAddress } from 'node:net'

export interface Endpoint {
  /** An IP address as `plainAddress` spells it. */
  readonly address: string
  /** 0: not known. */
  readonly port: number
}

export interface Addresses {
  /** The client. */
  readonly source: Endpoint
  /** The listener. */
  readonly destination: Endpoint
}

/**
 * An IP address in its canonical spelling: an IPv4 address also where it is mapped into IPv6, and no zone. `undefined`: it is no
 * IP address.
 */
export function plainAddress(text: string): string | undefined {
  const [ip = ''] = text.split('%')
  if (isIP(text) === 0) return undefined
  if (!isIPv6(ip)) return ip
  const { address } = new SocketAddress({ address: ip, family: 'ipv6' })
  return /^::ffff:([\d.]+)$/.exec(address)?.[1] ?? address
}

/** The peer's address; `undefined`: the connection is closed already, or no TCP. */
export function sourceOf(socket: Socket): Endpoint | undefined {
  return endpoint(socket.remoteAddress, socket.remotePort)
}

/** `undefined`: it is closed already, or no TCP. */
export function addressesOf(socket: Socket): Addresses | undefined {
  const source = sourceOf(socket)
  const destination = endpoint(socket.localAddress, socket.localPort)
  return source && destination && { source, destination }
}

/** `undefined`: what is named is no IP address. */
export function endpoint(address: string | undefined, port: number | undefined): Endpoint | undefined {
  const plain = plainAddress(address ?? '')
  return plain === undefined || port === undefined ? undefined : { address: plain, port }
}
