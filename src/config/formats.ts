/** The schema's `format` checks. Each checks one text; none uses the network. */
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'
import { domainToASCII } from 'node:url'
import { foldBare, foldDomain } from '../stanza/jid.ts'
import { isCidr } from '../transport/trusted-networks.ts'

/** By the name that the schema calls it. */
export const formats = {
  address: isAddress,
  'host-name': isHostName,
  domain: isDomain,
  'route-domain': (text: string) => text === '*' || isDomain(text.replace(/^\*\./, '')),
  'host-port': isHostPort,
  'bare-jid': isBareJid,
  origin: isOrigin,
  cidr: isCidr,
  'websocket-url': isWebsocketUrl,
  'redis-url': isRedisUrl,
  'xml-text': isXmlText,
}

/** Every character may stand in XML (XML 1.0 section 2.2): of others no stanza can be made. */
function isXmlText(text: string): boolean {
  return /^[\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u.test(text)
}

/** A host name or an IP address, an IPv6 address in brackets, with or without a port (RFC 6120 section 4.9.3.19). */
function isHostPort(text: string): boolean {
  const [, six, host = '', port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  if (port !== undefined && (Number(port) === 0 || Number(port) > 65_535)) return false
  return six === undefined ? isIP(host) === 4 || isHostName(host) : isIP(six) === 6
}

/** True of 127.0.0.0/8, ::1 (in every spelling) and localhost. A name is not looked up. */
export function isLoopback(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return address.toLowerCase() === 'localhost'
  return loopback.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** The canonical spelling of an address, for comparisons. */
export function foldAddress(address: string): string {
  if (!isIPv6(address)) return address.toLowerCase()
  const [ip = '', zone] = address.split('%')
  const folded = new SocketAddress({ address: ip, family: 'ipv6' }).address
  return zone === undefined ? folded : `${folded}%${zone}`
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** `redis://USER:PASSWORD@HOST:PORT/DATABASE`, of which only the host must be there; with TLS `rediss://`. A `%` in a password is `%25`. */
function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false
  const { hostname, pathname, search, hash, username, password } = new URL(text)
  try {
    decodeURIComponent(`${username}${password}`)
  } catch {
    return false
  }
  return hostname !== '' && /^(\/\d{0,3})?$/.test(pathname) && search === '' && hash === ''
}

/** A bare JID, or a domain. */
function isBareJid(text: string): boolean {
  return !text.includes('/') && foldBare(text) !== undefined
}

function isAddress(text: string): boolean {
  return isIP(text) !== 0 || isHostName(text)
}

/** No IP address: TLS cannot ask for one by name (RFC 6066 section 3). */
function isHostName(text: string): boolean {
  // All digits and dots: a mistyped IPv4 address, which a resolver may still read in its own way ('127.1').
  return text.length <= 253 && hostName.test(text) && !/^[0-9.]+$/.test(text)
}

const hostName = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i

/** The domain of a JID (RFC 7622 section 3.2): a name, in Unicode or ASCII, or an IP address. */
function isDomain(text: string): boolean {
  const folded = foldDomain(text)
  if (folded === undefined) return false
  if (folded.startsWith('[')) return isIPv6(folded.slice(1, -1))
  return isIPv4(folded) || (isHostName(folded) && (!folded.includes('xn--') || domainToASCII(folded) !== ''))
}

/** As a browser sends it (RFC 6454 section 6.2): neither path nor default port. `null` is what sandboxed and local pages send. */
function isOrigin(text: string): boolean {
  if (text === 'null') return true
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/\s?#@A-Z]*$/.test(text)) return false
  if (!/^https?:/.test(text)) return true
  return URL.canParse(text) && new URL(text).origin === text
}

/** As XEP-0156 may name it: without user and fragment, and wss; ws on loopback alone, for trying out. */
function isWebsocketUrl(text: string): boolean {
  const [, scheme, host = ''] = /^(wss?):\/\/([^\s/?#@\\]+)(?:[/?][!-~]*)?$/.exec(text) ?? []
  if (scheme === undefined || text.includes('#') || !URL.canParse(text)) return false
  return scheme === 'wss' || isLoopback(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
}
