/**
 * Checks that the schema cannot make: of parts that depend on each other, and on the machine. Every check reads the source as it
 * is, valid or not, so that one run reports everything; it skips what was reported before.
 */
import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { foldDomain } from '../stanza/jid.ts'
import { certificatesFlaw, keyFlaw, pairFlaw } from './certificates.ts'
import { foldAddress, isLoopback } from './formats.ts'
import { defaultLimits } from './limits.ts'
import { didYouMean } from './problem.ts'
import { hostMetaPaths } from './reserved-paths.ts'
import { lastOf, type Source } from './source.ts'
import { appendFlaw, type Flaw } from './source-text.ts'

/** Reports what is wrong. Relative paths of PEM files start at the folder. */
export function check(source: Source, folder: string): void {
  for (const listener of source.entries('/listeners')) checkListener(source, listener, folder)
  for (const upstream of source.entries('/upstreams')) checkUpstream(source, upstream, folder)
  checkAdmin(source)
  checkNames(source)
  checkPorts(source)
  checkRoutes(source)
  checkOverload(source)
  checkAudit(source, folder)
  checkStore(source)
}

function checkListener(source: Source, at: string, folder: string): void {
  const kind = source.text(`${at}/kind`)
  // A wrong word there was reported already.
  const isAllowed = source.place(`${at}/plaintext`) !== undefined
  if (kind === 'tcp' && !isAllowed) refuseClearText(source, at, allow)
  if (kind === 'websocket' && !isAllowed && source.place(`${at}/tls`) === undefined && isExposed(source, at)) {
    const remedy = `add tls: { cert, key }, ${stay}, or ${allow}`
    report(source, `${at}/tls`, [`is missing, and ${clearText(source, at)}`, remedy])
  }
  const isTaken = hostMetaPaths.some(path => path === source.text(`${at}/path`))
  if (isTaken && source.place(`${at}/url`) !== undefined) {
    const message = `${source.shown(`${at}/path`)} is where host-meta is served, because there is a url`
    report(source, `${at}/path`, [message, 'choose another path, or remove url'])
  }
  const cert = goodFile(source, `${at}/tls/cert`, folder, certificatesFlaw)
  const key = goodFile(source, `${at}/tls/key`, folder, keyFlaw)
  const flaw = cert !== undefined && key !== undefined ? pairFlaw(cert, key) : undefined
  if (flaw !== undefined) report(source, `${at}/tls/key`, [`${source.shown(`${at}/tls/key`)} ${flaw[0]}`, flaw[1]])
}

function checkUpstream(source: Source, at: string, folder: string): void {
  const members = source.entries(`${at}/members`)
  const hasMembers = source.place(`${at}/members`) !== undefined
  const value = source.place(at)?.value
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  for (const name of ['address', 'port'] as const) {
    const isThere = source.place(`${at}/${name}`) !== undefined
    if (isThere === hasMembers && isMap) report(source, `${at}/${name}`, memberFlaws[name][Number(hasMembers)] as Flaw)
  }
  if (source.place(`${at}/balance`) !== undefined && !hasMembers)
    report(source, `${at}/balance`, ['is there, and there are no members to choose from', 'add members, or remove it'])
  const mode = `${at}/tls/mode`
  for (const each of hasMembers ? members : [at]) refuseClearText(source, each, undefined, mode)
  checkMembers(source, members)
  goodFile(source, `${at}/tls/ca`, folder, certificatesFlaw)
}

const beside = 'is there beside members, which have their own'
const memberFlaws: Readonly<Record<'address' | 'port', readonly [without: Flaw, beside: Flaw]>> = {
  address: [
    ['is missing', 'add an IP address or a host name, without brackets and port, or members'],
    [beside, 'remove it, or make it a member'],
  ],
  port: [
    ['is missing', 'add a port number from 1 to 65535, or members'],
    [beside, 'remove it, or make it a member'],
  ],
}

function checkMembers(source: Source, members: readonly string[]): void {
  const seen = new Set<string>()
  for (const at of members) {
    const address = source.text(`${at}/address`)
    const port = source.place(`${at}/port`)?.value
    if (address === undefined || port === undefined) continue
    const name = `${foldAddress(address)} ${port}`
    if (seen.has(name))
      report(source, at, ['is the same server as another member', 'remove one of them, or give one a greater weight'])
    seen.add(name)
  }
  const weights = members.map(at => source.place(`${at}/weight`)?.value)
  if (members.length > 0 && weights.every(weight => weight === 0))
    report(source, `${members[0]}/weight`, [
      'is 0, as that of all members: nobody would be served',
      'give one of them a weight',
    ])
}

/** The path of a PEM file that has no flaw by itself; reports it if it has. */
function goodFile(
  source: Source,
  at: string,
  folder: string,
  flawOf: (file: string) => Flaw | undefined,
): string | undefined {
  const path = source.text(at)
  // In a place where it is not known, or with a variable that is not set, it is no path.
  if (path === undefined || source.isFaulty(at)) return undefined
  const file = resolve(folder, path)
  const flaw = flawOf(file)
  if (flaw !== undefined) report(source, at, [`${source.shown(at)} ${flaw[0]}`, flaw[1]])
  return flaw === undefined ? file : undefined
}

function refuseClearText(source: Source, at: string, wayOut?: string, mode = `${at}/tls/mode`): void {
  if (source.text(mode) !== 'none' || !isExposed(source, at)) return
  const tls = 'set mode to starttls or direct'
  const remedy = wayOut === undefined ? `${tls}, or ${stay}` : `${tls}, ${stay}, or ${wayOut}`
  report(source, mode, [`'none' is for loopback alone, and ${clearText(source, at)}`, remedy])
}

/** Whether the address can be reached from other machines. A faulty address is reported by itself. */
export function isExposed(source: Source, at: string): boolean {
  const address = source.text(`${at}/address`)
  return address !== undefined && !source.isFaulty(`${at}/address`) && !isLoopback(address)
}

/** What is wrong with a connection in clear text. */
export function clearText(source: Source, at: string): string {
  return `to ${source.shown(`${at}/address`)} passwords would travel in clear text`
}

const stay = 'use 127.0.0.1'
const allow = "write 'plaintext: allowed' beside the address if only a trusted network leads there"

function checkAdmin(source: Source): void {
  if (source.place('/admin/write')?.value === true && source.place('/admin/token') === undefined)
    report(source, '/admin/write', [
      'is true, and there is no token: any program on this machine could release and deny requests',
      'add a token, or remove write',
    ])
  if (source.place('/admin/token') !== undefined || !isExposed(source, '/admin')) return
  const message = `is missing, and ${source.shown('/admin/address')} is not loopback: anybody could read what is there`
  report(source, '/admin/token', [message, `add a token, or ${stay}`])
}

function checkAudit(source: Source, folder: string): void {
  const isHashed = source.place('/audit/hash')?.value === true
  const hasKey = source.place('/audit/key') !== undefined
  if (isHashed && !hasKey) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
    const remedy = 'add key: ${NAME}, and set that variable to what nobody can guess (openssl rand -hex 32)'
    report(source, '/audit/key', ['is missing, and without it there are no hashes', remedy])
  }
  if (!isHashed && hasKey && !source.isFaulty('/audit/hash'))
    report(source, '/audit/key', [
      'is there, and hash is not true: JIDs would be written as they are',
      'add hash: true, or remove key',
    ])
  const path = source.text('/audit/file')
  if (path === undefined || path === '' || source.isFaulty('/audit/file')) return
  const flaw = appendFlaw(resolve(folder, path)) ?? overwriteFlaw(source, folder, resolve(folder, path))
  if (flaw !== undefined) report(source, '/audit/file', [`${source.shown('/audit/file')} ${flaw[0]}`, flaw[1]])
}

function checkStore(source: Source): void {
  if (source.place('/store/redis') === undefined) return
  if (source.place('/store/path') !== undefined) {
    report(source, '/store/path', ['is there beside redis, and there is one store', 'remove one of them'])
  }
}

/** Lines appended to a certificate or a key would destroy it, by whatever path it is named. */
function overwriteFlaw(source: Source, folder: string, file: string): Flaw | undefined {
  const found = statOf(file)
  if (found === undefined) return undefined
  const isSame = (other: string) => {
    const { dev, ino } = statOf(other) ?? {}
    return dev === found.dev && ino === found.ino
  }
  const remedy = 'name a file of its own'
  if (source.isFile && isSame(resolve(source.file))) return ['is this configuration file', remedy]
  const pems = [
    ...source.entries('/listeners').flatMap(at => [`${at}/tls/cert`, `${at}/tls/key`]),
    ...source.entries('/upstreams').map(at => `${at}/tls/ca`),
  ]
  const twin = pems.find(at => isSame(resolve(folder, source.text(at) ?? '')))
  return twin === undefined ? undefined : [`is the file of ${source.place(twin)?.key}`, remedy]
}

/** `undefined` where there is no file, or none that may be seen. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file)
  } catch {
    return undefined
  }
}

/** A gate that ends sessions before it refuses new ones would have to end sessions again and again. */
function checkOverload(source: Source): void {
  const [refuse, close] = ['/limits/overload/heapPercent', '/limits/overload/closeAtHeapPercent'] as const
  const { refuseAt, closeAt } = defaultLimits.overload
  const percent = (at: string, fallback: number) => source.place(at)?.value ?? 100 * fallback
  const [refused, closed] = [percent(refuse, refuseAt), percent(close, closeAt)]
  if (typeof refused !== 'number' || typeof closed !== 'number' || closed >= refused) return
  if (source.isFaulty(refuse) || source.isFaulty(close)) return
  // Reported at the key that stands in the file; the other may be a default.
  if (source.place(close) === undefined) {
    const message = `${refused} is above closeAtHeapPercent, which is ${closed}: sessions would be closed before any is refused`
    report(source, refuse, [message, `write at most ${closed}, or set closeAtHeapPercent to at least ${refused}`])
  } else {
    const message = `${closed} is below heapPercent, which is ${refused}: sessions would be closed before any is refused`
    report(source, close, [message, `write at least ${refused}, or a lower heapPercent`])
  }
}

/** Names are labels of metrics: two listeners of one name would be counted as one. */
function checkNames(source: Source): void {
  const names = source.entries('/listeners').map(at => `${at}/name`)
  reportTwins(source, names, at => source.text(at), 'is the name of', 'give each its own name')
}

function checkPorts(source: Source): void {
  const ports = [...source.entries('/listeners'), '/admin'].map(at => `${at}/port`)
  const socketOf = (at: string) => {
    const address = source.text(at.replace(/port$/, 'address'))
    const port = source.place(at)?.value
    // Port 0 is whatever is free.
    return address === undefined || typeof port !== 'number' || port === 0
      ? undefined
      : `${foldAddress(address)} ${port}`
  }
  reportTwins(source, ports, socketOf, 'at the same address is the port of', 'give each its own port or address')
  const own = ports.map(socketOf)
  const servers = source.entries('/upstreams').flatMap(at => [at, ...source.entries(`${at}/members`)])
  for (const at of servers.map(server => `${server}/port`)) {
    const twin = socketOf(at) === undefined ? -1 : own.indexOf(socketOf(at))
    if (twin === -1) continue
    const message = `${source.shown(at)} at the same address is the gate's own ${keyOf(ports[twin] as string)}: it would dial itself`
    report(source, at, [message, 'name the port that the server listens on'])
  }
}

/** A pointer as a message names it. */
function keyOf(at: string): string {
  return at
    .slice(1)
    .replaceAll(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.')
}

/** What may become of the clients of a route. */
const ways = ['upstream', 'redirect', 'closed'] as const

function checkRoutes(source: Source): void {
  const routes = source.entries('/routes')
  const upstreams = source.entries('/upstreams').map(lastOf)
  const domains = routes.map(at => `${at}/domain`)
  const below = (domain: string) => foldDomain(domain)?.replace(/^/, '*.')
  const fold = (domain: string) =>
    domain === '*' ? domain : domain.startsWith('*.') ? below(domain.slice(2)) : foldDomain(domain)
  reportTwins(source, domains, at => fold(source.text(at) ?? ''), 'is routed by', 'keep one of the two')
  for (const at of routes) {
    const value = source.place(at)?.value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    const [first, second] = ways.filter(way => source.place(`${at}/${way}`) !== undefined)
    if (first === undefined)
      report(source, `${at}/upstream`, ['is missing', 'add the name of an upstream, or redirect, or closed'])
    if (second !== undefined) report(source, `${at}/${second}`, [`is there beside ${first}`, 'keep one of the two'])
  }
  for (const at of routes.map(at => `${at}/upstream`)) {
    const name = source.text(at)
    // Without upstreams, that is the problem.
    if (name === undefined || upstreams.length === 0 || upstreams.includes(name)) continue
    const remedy = didYouMean(name, upstreams, `upstreams are ${upstreams.join(', ')}`)
    report(source, at, [`${source.shown(at)} is not the name of an upstream`, remedy])
  }
}

/** Reports each part that equals an earlier one, at the later of the two. */
function reportTwins(
  source: Source,
  parts: readonly string[],
  fold: (at: string) => string | undefined,
  relation: string,
  remedy: string,
): void {
  const first = new Map<string, string>()
  for (const at of parts) {
    const folded = source.isFaulty(at) ? undefined : fold(at)
    if (folded === undefined || folded === '') continue
    const twin = first.get(folded)
    if (twin === undefined) first.set(folded, at)
    else {
      const owner = source.place(twin.slice(0, twin.lastIndexOf('/')))?.key
      report(source, at, [`${source.shown(at)} ${relation} ${owner} already`, remedy])
    }
  }
}

function report(source: Source, at: string, [message, remedy]: Flaw): void {
  if (!source.isFaulty(at)) source.report(at, message, remedy)
}
