/**
 * In whose name credentials want to act. RFC 4616 section 2 leaves it to the server whether one account may act as another; ejabberd
 * 23.01 lets every account act as every other, on the password of the first. A client of the gate acts as itself, unless its route says
 * otherwise.
 */
import { bareOf, compareBare } from '../stanza/jid.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, text } from '../xml/element.ts'

export type CredentialFault = 'invalid-authzid' | 'incorrect-encoding'

/** Whom a message of a mechanism names: who it is, and who it wants to be. */
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
 * `username="…",…,authzid="…"` (RFC 2831 section 2.1.2). Read from its beginning to its end: what looks like a name may stand within the
 * quotes of another. What one server reads this way and another that way, and a name that comes twice, is nobody's own.
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

/** Who is nobody's own. */
const nobody: Claim = { authzid: '\0', authcid: '' }

function unescaped(name = ''): string {
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

/** How the messages of the mechanism that a request begins are read; `undefined`: they name nobody in the clear. */
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
  // Old encoders break lines; nothing is read differently for that.
  const encoded = holder === undefined ? '' : text(holder).replaceAll(/[ \t\r\n]/g, '')
  if (encoded === '' || encoded === '=') return undefined
  const bytes = Buffer.from(encoded, 'base64')
  // Servers differ in what they make of anything else (RFC 6120 section 6.4.2).
  if (bytes.toString('base64') !== encoded) return 'incorrect-encoding'
  const claim = read(bytes.toString())
  // What cannot be read is for the server to refuse.
  if (claim === undefined || claim.authzid === '') return undefined
  // A resource says nothing of who is meant, and old web clients send one. Names that the server may take for one are its business.
  const isOwn = compareBare(bareIn(claim.authzid, domain), bareIn(claim.authcid, domain)) !== 'different'
  return isOwn ? undefined : 'invalid-authzid'
}

function bareIn(name: string, domain: string): string {
  const bare = bareOf(name)
  return bare.includes('@') ? bare : `${bare}@${domain}`
}
