/** Warnings: what is no error yet. Shown by `check` and logged when the gate starts. It reads a source without errors. */
import type { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { foldDomain } from '../stanza/jid.ts'
import { readCertificates } from './certificates.ts'
import { clearText, isExposed } from './cross-checks.ts'
import type { Problem } from './problem.ts'
import type { Source } from './source.ts'
import type { Flaw } from './source-text.ts'

/** Days before its end from which a certificate is warned of. */
const daysBefore = 14
const day = 86_400_000
/** Characters of a token that are too many to be guessed; a key of the audit has as many, or is an error. */
const enough = 16

/** In the order of the file. `now`: milliseconds since 1970; relative paths start at the folder. */
export function warningsOf(source: Source, folder: string, now: number): Problem[] {
  const found: Problem[] = []
  const warn = (at: string, [message, remedy]: Flaw) => found.push(source.problem(at, message, remedy))
  const files = (at: string, flawsOf: (file: string) => Flaw[]) => {
    const path = source.text(at)
    if (path === undefined) return
    for (const [message, remedy] of flawsOf(resolve(folder, path))) warn(at, [`${source.shown(at)} ${message}`, remedy])
  }
  for (const at of source.entries('/listeners')) {
    const isPlain = source.place(`${at}/tls/cert`) === undefined
    if (isPlain && isExposed(source, at)) {
      const remedy = 'let nothing but a trusted network reach it, and use TLS as soon as you can'
      warn(`${at}/plaintext`, [`is allowed, and ${clearText(source, at)}`, remedy])
    }
    const names = namesOf(source, at)
    files(`${at}/tls/cert`, file => [...ageFlaws(file, now), ...nameFlaws(file, names)])
    files(`${at}/tls/key`, keyFlaws)
  }
  for (const at of source.entries('/upstreams')) {
    files(`${at}/tls/ca`, file => ageFlaws(file, now))
  }
  const blind = unverifiedFlaw(source)
  if (blind !== undefined) warn('/rules/roster-version-held', blind)
  for (const [key, flaw] of idleFlaws(source)) warn(`${pending}/${key}`, flaw)
  if ((source.text('/admin/token')?.length ?? enough) < enough) {
    const remedy = 'take one that nobody can guess (openssl rand -hex 32)'
    warn('/admin/token', [`has fewer than ${enough} characters`, remedy])
  }
  // A URL without a password is no secret.
  const urls = source.text('/store/redis')?.includes('@') === true ? ['/store/redis'] : []
  for (const at of ['/admin/token', '/audit/key', '/store/hash', ...urls]) {
    const secret = source.place(at)
    if (
      !source.isFile ||
      secret === undefined ||
      secret.written !== secret.value ||
      (modeOf(source.file) & othersRead) === 0
    )
      continue
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
    const remedy = 'write ${NAME} and set that variable, or run chmod o= on this file'
    warn(at, ['stands in a file that everybody on this machine may read', remedy])
  }
  return found.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

/** The rules that ask the roster, while the one that gets it is off. */
function unverifiedFlaw(source: Source): Flaw | undefined {
  const modeOf = (rule: string) => source.text(`/rules/${rule}`) ?? source.text('/rules/default')
  const asking = ['subscribed-needs-request', 'unsubscribed-needs-subscription'].filter(rule => modeOf(rule) !== 'off')
  if (modeOf('roster-version-held') !== 'off' || asking.length === 0) return undefined
  const why = `is off, so a client that knows its roster's version gets no roster, and ${asking.join(' and ')} can verify nothing`
  return [why, 'set it to observe, repair or enforce: it refuses nothing']
}

const pending = '/limits/pendingRequests'
const classes = ['listed', 'token', 'ownDomain', 'gateway', 'contactDomain', 'other'] as const

/** Keys of `limits.pendingRequests` that change nothing. */
function idleFlaws(source: Source): [key: string, flaw: Flaw][] {
  const actionOf = (name: string) => source.text(`${pending}/strangers/${name}`)
  const found: [string, Flaw][] = []
  if (source.entries(`${pending}/listed`).length > 0 && actionOf('listed') === undefined) {
    const remedy = 'set limits.pendingRequests.strangers.listed to drop, accept or hold'
    found.push(['listed', ['names strangers, and nothing says what becomes of them: they are held', remedy]])
  }
  const isDenying = source.place(`${pending}/denyDropped`)?.value === true
  if (isDenying && !classes.some(name => actionOf(name) === 'drop')) {
    const remedy = 'set a class in limits.pendingRequests.strangers to drop, or leave it out'
    found.push(['denyDropped', ['is true, and no class of strangers is dropped', remedy]])
  }
  return found
}

/**
 * The names by which clients reach a listener, and look for in its certificate: the routes' domains (RFC 6120 section 13.7.2), of a
 * WebSocket the host of its URL; none where they are not known.
 */
function namesOf(source: Source, at: string): string[] {
  if (source.text(`${at}/kind`) === 'websocket') {
    const url = source.text(`${at}/url`)
    return url === undefined ? [] : [new URL(url).hostname]
  }
  const domains = source.entries('/routes').map(route => source.text(`${route}/domain`))
  return domains.flatMap(domain => (domain === undefined || domain === '*' ? [] : (foldDomain(domain) ?? [])))
}

function nameFlaws(file: string, names: readonly string[]): Flaw[] {
  const read = readCertificates(file)
  const certificate = 'flaw' in read ? undefined : read.certificates[0]
  if (certificate === undefined || names.length === 0) return []
  if (certificate.subjectAltName === undefined)
    return [
      [
        'has no subjectAltName',
        'have it made with one (openssl req -addext subjectAltName=DNS:...): clients look for no other name',
      ],
    ]
  const missing = names.filter(name => certificate.checkHost(name, { subject: 'never' }) === undefined)
  if (missing.length === 0) return []
  return [
    [
      `does not bear the name ${missing.join(', ')}`,
      'have it made for all names that clients look for, or they refuse it',
    ],
  ]
}

/** What is to be said of a certificate's days; `undefined`: nothing. `index` is its place in the file, from 0. */
export function ageFlaw(certificate: X509Certificate, index: number, now: number): Flaw | undefined {
  const which = index === 0 ? '' : ` (certificate ${index + 1} in it)`
  const from = Date.parse(certificate.validFrom)
  const to = Date.parse(certificate.validTo)
  if (to <= now) return [`expired on ${dateOf(to)}${which}`, 'renew it: clients refuse it']
  if (from > now) return [`is not valid before ${dateOf(from)}${which}`, "correct this machine's clock, or wait"]
  if (to - now > daysBefore * day) return undefined
  return [`expires on ${dateOf(to)}${which}`, 'renew it: the gate reads it again by itself']
}

const groupWrite = 0o020
const othersRead = 0o004
const othersWrite = 0o002

/** A key that its own group may read is common: 0640, of root and a group made for it. */
function keyFlaws(file: string): Flaw[] {
  const mode = modeOf(file)
  if ((mode & (othersRead | othersWrite)) !== 0) {
    const may = (mode & othersWrite) !== 0 ? 'replace' : 'read'
    const remedy = 'run chmod o= on it, and have a new key made if anybody may have taken it'
    return [[`is a private key that everybody on this machine may ${may}`, remedy]]
  }
  if ((mode & groupWrite) === 0) return []
  return [['is a private key that its whole group may replace', 'run chmod g-w on it']]
}

function ageFlaws(file: string, now: number): Flaw[] {
  const read = readCertificates(file)
  if ('flaw' in read) return []
  return read.certificates.map((each, index) => ageFlaw(each, index, now)).filter(flaw => flaw !== undefined)
}

/** No permissions at all when it is gone by now: that is told elsewhere. */
function modeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mode ?? 0
}

function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
