/**
 * The PROXY protocol, versions 1 (a line of text) and 2 (binary), by HAProxy's specification: the first bytes of a TCP connection,
 * once, by which a proxy names the client to the server behind it. Pure: bytes in, addresses out, and back.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { type Addresses, type Endpoint, endpoint } from './address.ts'

export type ProxyVersion = 'v1' | 'v2'

export type Decoded =
  /** These bytes may be the beginning of a header. */
  | { readonly decoded: 'more' }
  /** `addresses` is `undefined` where the proxy speaks for itself (a health check) or does not know: the connection's own hold. */
  | { readonly decoded: 'header'; readonly addresses: Addresses | undefined; readonly length: number }
  /** These bytes are no header. */
  | { readonly decoded: 'none' }
  | { readonly decoded: 'malformed' }

/** Longest line of version 1, its line break included. Bytes. */
const lineAtMost = 107
/** Longest rest of a version 2 header: the addresses and 4 KB of TLVs, as cloud balancers and client certificates need. Bytes. */
const restAtMost = 216 + 4096

const v1Start = Buffer.from('PROXY ')
const v2Start = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
/** Version and command of v2. */
const local = 0x20
const proxied = 0x21
/** Families of v2, stream transport each, with the length of what names both ends. Bytes. */
const unspecified = 0x00
const tcp4 = 0x11
const tcp6 = 0x21
const lengths: ReadonlyMap<number, number> = new Map([
  [unspecified, 0],
  [tcp4, 12],
  [tcp6, 36],
  // Sockets of the Unix domain: a client without an address.
  [0x31, 216],
])

/** Whether bytes are, may become or are not the beginning of a header: for those who may not send one. */
export function beginsHeader(bytes: Buffer): 'yes' | 'maybe' | 'no' {
  const starts = [v1Start, v2Start].filter(start => {
    const common = Math.min(start.length, bytes.length)
    return bytes.subarray(0, common).equals(start.subarray(0, common))
  })
  if (starts.length === 0) return 'no'
  return starts.some(start => bytes.length >= start.length) ? 'yes' : 'maybe'
}

/** Reads the header that all bytes received so far begin with; what follows `length` is not looked at. */
export function decodeProxyHeader(bytes: Buffer): Decoded {
  const begins = beginsHeader(bytes)
  if (begins === 'no') return { decoded: 'none' }
  if (begins === 'maybe') return { decoded: 'more' }
  return bytes[0] === v1Start[0] ? decodeLine(bytes) : decodeBinary(bytes)
}

function decodeLine(bytes: Buffer): Decoded {
  const end = bytes.subarray(0, lineAtMost).indexOf('\r\n')
  if (end === -1) return { decoded: bytes.length < lineAtMost ? 'more' : 'malformed' }
  const line = bytes.toString('latin1', 0, end)
  const length = end + 2
  // Whatever stands behind UNKNOWN is to be ignored.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { decoded: 'header', addresses: undefined, length }
  const [, family, from = '', to = '', fromPort = '', toPort = ''] =
    /^PROXY (TCP[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(line) ?? []
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  const isGood = [from, to].every(text => isAddress(text) && !text.includes('%')) && [fromPort, toPort].every(isPort)
  const addresses = isGood ? both(endpoint(from, Number(fromPort)), endpoint(to, Number(toPort))) : undefined
  return addresses === undefined ? { decoded: 'malformed' } : { decoded: 'header', addresses, length }
}

/** Decimal, as the specification has it: without leading zeros. */
function isPort(text: string): boolean {
  return Number(text) <= 0xffff && String(Number(text)) === text
}

function decodeBinary(bytes: Buffer): Decoded {
  const [command, family] = [bytes[12], bytes[13]]
  if (command === undefined) return { decoded: 'more' }
  if (command !== local && command !== proxied) return { decoded: 'malformed' }
  if (bytes.length < 16) return { decoded: 'more' }
  const rest = bytes.readUInt16BE(14)
  const needed = command === local ? 0 : lengths.get(family ?? unspecified)
  if (rest > restAtMost || needed === undefined || rest < needed) return { decoded: 'malformed' }
  const length = 16 + rest
  if (bytes.length < length) return { decoded: 'more' }
  const isIp = command === proxied && (family === tcp4 || family === tcp6)
  return { decoded: 'header', addresses: isIp ? addressesIn(bytes.subarray(16, 16 + needed)) : undefined, length }
}

/** Source, destination, and their ports; TLVs may follow, and say nothing that is used here. */
function addressesIn(block: Buffer): Addresses | undefined {
  const width = (block.length - 4) / 2
  const [from, to] = [block.subarray(0, width), block.subarray(width, 2 * width)].map(textOf)
  return both(endpoint(from, block.readUInt16BE(2 * width)), endpoint(to, block.readUInt16BE(2 * width + 2)))
}

function textOf(address: Buffer): string {
  if (address.length === 4) return address.join('.')
  return (address.toString('hex').match(/.{4}/g) ?? []).join(':')
}

function both(source: Endpoint | undefined, destination: Endpoint | undefined): Addresses | undefined {
  return source && destination && { source, destination }
}

/** `addresses` is `undefined` where they are not known: UNKNOWN, LOCAL. */
export function encodeProxyHeader(version: ProxyVersion, addresses: Addresses | undefined): Buffer {
  return version === 'v1' ? encodeLine(addresses) : encodeBinary(addresses)
}

function encodeLine(addresses: Addresses | undefined): Buffer {
  if (addresses === undefined) return Buffer.from('PROXY UNKNOWN\r\n')
  const { source, destination } = addresses
  const isV4 = isBothV4(addresses)
  const [from, to] = [source, destination].map(({ address }) =>
    isV4 || isIPv6(address) ? address : `::ffff:${address}`,
  )
  return Buffer.from(`PROXY ${isV4 ? 'TCP4' : 'TCP6'} ${from} ${to} ${source.port} ${destination.port}\r\n`)
}

function encodeBinary(addresses: Addresses | undefined): Buffer {
  if (addresses === undefined) return Buffer.concat([v2Start, Buffer.from([local, unspecified, 0, 0])])
  const { source, destination } = addresses
  const isV4 = isBothV4(addresses)
  const block = Buffer.concat([bytesOf(source, isV4), bytesOf(destination, isV4), Buffer.alloc(4)])
  block.writeUInt16BE(source.port, block.length - 4)
  block.writeUInt16BE(destination.port, block.length - 2)
  return Buffer.concat([v2Start, Buffer.from([proxied, isV4 ? tcp4 : tcp6, 0, block.length]), block])
}

/** Otherwise both are told as IPv6: the client's family may be another than the listener's where a proxy has named it. */
function isBothV4({ source, destination }: Addresses): boolean {
  return isIPv4(source.address) && isIPv4(destination.address)
}

function bytesOf({ address }: Endpoint, isV4: boolean): Buffer {
  if (isV4) return Buffer.from(address.split('.').map(Number))
  // A URL spells every IPv6 address in hexadecimal, mapped ones too.
  const spelled = new URL(`http://[${isIPv6(address) ? address : `::ffff:${address}`}]`).hostname.slice(1, -1)
  const [head = [], tail = []] = spelled.split('::').map(half => half.split(':').filter(group => group !== ''))
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
  return Buffer.from(groups.map(group => group.padStart(4, '0')).join(''), 'hex')
}
