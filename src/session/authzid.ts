/**
 * Which account credentials want to act for. RFC 4616 section 2 leaves it to the server whether one account may act as another;
 * ejabberd 23.01 lets every account act as every other with its own password. A client of the gate acts for its own account,
 * unless its route says otherwise.
 */
import { bareOf, compareBare } from '../stanza/jid.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, text } from '../xml/element.ts'

export type CredentialFault = 'invalid-authzid' | 'incorrect-encoding'

/** The names in a message of a SASL mechanism: the account that authenticates (authcid), and the one to act for (authzid). */
interface Claim {
  readonly authcid: string
  readonly authzid: string
}

type Reader = (message: string) => Claim | undefined

/** `authzid NUL authcid NUL secret` (RFC 4616). */
function plain(message: string): Claim | undefined {
  const [authzid = '', authcid] = message.split('\0')
  return authcid === undefined ? undefined : { authzid, authcid }
}

/** `n,a=authzid,n=authcid,r=nonce` (RFC 5802 section 7). */
function scram(message: string): Claim | undefined {
  const match = /^[nyp][^,]*,a=([^,]*),(?:m=[^,]*,)?n=([^,]*),/.exec(message)
  return match === null ? undefined : { authzid: unescaped(match[1]), authcid: unescaped(match[2]) }
}

/**
 * `username="…",…,authzid="…"` (RFC 2831 section 2.1.2). It is parsed from beginning to end: what looks like a name may stand
 * within the quotes of another value. A message that servers parse differently, or with a name twice, counts as naming another
 * account.
 */
function digest(message: string): Claim | undefined {
  const values = new Map<string, string>()
  const pair = /[\s,]*([^=\s,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)/suy
  while (pair.lastIndex < message.length) {
    const [whole, name = '', quoted, bare = ''] = pair.exec(message) ?? []
    if (whole === undefined || values.has(name.toLowerCase())) return nobody
    values.set(name.toLowerCase(), quoted ?? bare)
  }
  const authzid = values.get('authzid')
  return authzid === undefined ? undefined : { authzid, authcid: values.get('username') ?? '' }
}

/** Names that match no account. */
const nobody: Claim = { authzid: '\0', authcid: '' }

function unescaped(name = ''): string {
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

/** The parser for messages of the mechanism that a request begins; `undefined`: its messages have no names in clear text. */
export function claimsOf(request: Element): Reader | undefined {
  const mechanism = (request.attrs.get('mechanism') ?? '').toUpperCase()
  if (mechanism === 'PLAIN' || mechanism === 'X-OAUTH2') return plain
  if (mechanism === 'DIGEST-MD5') return digest
  return mechanism.startsWith('SCRAM-') ? scram : undefined
}

/** What is wrong with a message of such a mechanism; `undefined`: nothing that can be seen. */
export function credentialFault(request: Element, read: Reader, domain: string): CredentialFault | undefined {
  const holder =
    request.ns === ns.sasl2 && request.name === 'authenticate' ? child(request, 'initial-response', ns.sasl2) : request
  // Line breaks of old base64 encoders change nothing.
  const encoded = holder === undefined ? '' : text(holder).replaceAll(/[ \t\r\n]/g, '')
  if (encoded === '' || encoded === '=') return undefined
  const bytes = Buffer.from(encoded, 'base64')
  // Servers differ in how they decode anything else (RFC 6120 section 6.4.2).
  if (bytes.toString('base64') !== encoded) return 'incorrect-encoding'
  const claim = read(bytes.toString())
  // The server refuses what cannot be parsed.
  if (claim === undefined || claim.authzid === '') return undefined
  // A resource does not change which account is meant, and old web clients send one. The server decides on names that it takes
  // for a resource.
  const isOwn = compareBare(bareIn(claim.authzid, domain), bareIn(claim.authcid, domain)) !== 'different'
  return isOwn ? undefined : 'invalid-authzid'
}

function bareIn(name: string, domain: string): string {
  const bare = bareOf(name)
  return bare.includes('@') ? bare : `${bare}@${domain}`
}
