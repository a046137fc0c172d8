/** What there is between the gate and the server: L1 to L7 of the list in all-probes.ts. */
import { ns } from '../stream/namespaces.ts'
import type { Target } from '../upstream/dial.ts'
import { child, element, elements, text } from '../xml/element.ts'
import { write } from '../xml/writer.ts'
import { probe } from './probe.ts'
import type { ProbeTarget } from './probe-target.ts'
import { Gone, Late } from './received-elements.ts'
import { iq, isAnswer } from './stanzas.ts'
import { UpstreamStream } from './upstream-stream.ts'

/** A listener for the gate alone. */
const plainListener = {
  prosody: [
    'c2s_interfaces = { "127.0.0.1" }',
    'c2s_ports = { 15222 }',
    'c2s_require_encryption = false',
    '-- and stanzagate.yaml: tls: { mode: none }',
  ],
  ejabberd: [
    'listen: [{ port: 15222, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: false }]',
    '# and stanzagate.yaml: tls: { mode: none }',
  ],
  other: ['give the gate a listener on loopback without TLS, and stanzagate.yaml tls: { mode: none }'],
}

export const l1 = probe<'none' | 'optional' | 'required' | 'missing' | 'secured'>({
  id: 'L1',
  title: 'STARTTLS between the gate and the server',
  clause: 'RFC 6120 5.3',
  needs: 'leg',
  outcomes: {
    none: { verdict: 'right', text: 'offers none, and the gate wants none' },
    optional: { verdict: 'right', text: 'offers it and does not ask for it; the gate does without' },
    required: { verdict: 'conflict', text: 'lets nobody in without it, and stanzagate.yaml says tls.mode: none' },
    missing: { verdict: 'conflict', text: 'offers none, and stanzagate.yaml says tls.mode: starttls' },
    secured: { verdict: 'right', text: 'TLS stands, as stanzagate.yaml has it' },
  },
  remedy: plainListener,
  run: ({ leg, target }) => {
    if (target.mode === 'direct') return { found: 'secured' }
    if (target.mode === 'starttls') return { found: leg.offersStarttls ? 'secured' : 'missing' }
    if (leg.requiresStarttls) return { found: 'required' }
    return { found: leg.offersStarttls ? 'optional' : 'none' }
  },
})

export const l2 = probe<'good' | 'plainOnly' | 'external' | 'none'>({
  id: 'L2',
  title: 'SASL mechanisms',
  clause: 'RFC 6120 6.3.3',
  needs: 'leg',
  outcomes: {
    good: { verdict: 'right', text: 'offers what clients can use through the gate' },
    plainOnly: {
      verdict: 'note',
      text: 'takes the password itself only (PLAIN); it crosses this leg, and the gate, as it is',
    },
    external: {
      verdict: 'conflict',
      text: "offers EXTERNAL, which would believe the gate's certificate, not the client's",
    },
    none: { verdict: 'conflict', text: 'offers none on this leg: nobody can log in' },
  },
  remedy: {
    prosody: [
      'c2s_require_encryption = false  -- where this leg has no TLS',
      'authentication = "internal_hashed"',
      'allow_unencrypted_plain_auth = true  -- only if clients need PLAIN',
    ],
    ejabberd: ['starttls_required: false  # of the listener, where this leg has no TLS', 'auth_password_format: scram'],
    other: ['let the listener offer SCRAM without TLS'],
  },
  run: ({ leg: { mechanisms } }) => {
    const detail = mechanisms.toSorted().join(', ')
    if (mechanisms.length === 0) return { found: 'none' }
    if (mechanisms.includes('EXTERNAL')) return { found: 'external', detail }
    const isPlain = mechanisms.includes('PLAIN') && !mechanisms.some(each => each.startsWith('SCRAM-'))
    return { found: isPlain ? 'plainOnly' : 'good', detail }
  },
})

/** A binding to the server's certificate, which the gate may have too (RFC 5929 section 4). */
const endPoint = 'tls-server-end-point'

export const l3 = probe<'none' | 'plus' | 'endPoint' | 'unequal'>({
  id: 'L3',
  title: 'channel binding (SCRAM-…-PLUS)',
  clause: 'RFC 5802 6',
  needs: 'leg',
  outcomes: {
    none: { verdict: 'right', text: "offers none: clients' TLS ends at the gate, so none could hold" },
    plus: {
      verdict: 'conflict',
      text: "offers it, and binds to the TLS of this leg, which is not the client's: clients that take it up cannot log in",
    },
    endPoint: {
      verdict: 'note',
      text: `offers ${endPoint} alone: it holds only if the gate's listeners have the server's own certificate`,
      isFine: true,
    },
    unequal: {
      verdict: 'conflict',
      text: 'offers mechanisms with channel binding but no types, or the reverse (XEP-0440): strict clients go away',
    },
  },
  remedy: {
    // Prosody refuses clients that know channel binding (flag y) wherever it could bind, offered or not.
    prosody: [
      ...plainListener.prosody,
      '-- disable_sasl_mechanisms does not do: clients that know channel binding would be refused',
    ],
    ejabberd: [
      'disable_sasl_mechanisms: [DIGEST-MD5, SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-512-PLUS]',
      '# or:',
      ...plainListener.ejabberd,
    ],
    other: ['switch the mechanisms that end in -PLUS off', ...plainListener.other],
  },
  run: ({ leg }) => channelBinding(leg),
})

export function channelBinding({ mechanisms, features }: Pick<UpstreamStream, 'mechanisms' | 'features'>) {
  const plus = mechanisms.filter(each => each.endsWith('-PLUS'))
  const holder = child(features, 'sasl-channel-binding', 'urn:xmpp:sasl-cb:0')
  const types = holder === undefined ? [] : elements(holder).map(each => each.attrs.get('type') ?? '')
  const detail = [...plus.toSorted(), ...types.toSorted()].join(', ') || undefined
  if (plus.length === 0 && types.length === 0) return { found: 'none' as const, detail }
  // A server that knows nothing of XEP-0440 names no types.
  if (plus.length === 0) return { found: 'unequal' as const, detail }
  const isEndPoint = types.length > 0 && types.every(type => type === endPoint)
  return { found: isEndPoint ? ('endPoint' as const) : ('plus' as const), detail }
}

export const l4 = probe<'unsigned' | 'signed'>({
  id: 'L4',
  title: 'whether the server signs what it has offered',
  clause: 'XEP-0474',
  needs: 'account',
  outcomes: {
    unsigned: { verdict: 'right', text: 'does not sign the list of mechanisms' },
    signed: { verdict: 'right', text: 'signs the list of mechanisms; the gate leaves that list as it is, so it holds' },
  },
  remedy: { prosody: [], ejabberd: [], other: [] },
  run: async ({ user }) => ({ found: user.signsOffer ? 'signed' : 'unsigned', detail: user.mechanism }),
})

export const l8 = probe<'silent' | 'said'>({
  id: 'L8',
  title: 'whether the server says which TLS it sees',
  clause: 'XEP-0515',
  needs: 'account',
  outcomes: {
    silent: { verdict: 'right', text: 'says nothing of it' },
    said: {
      verdict: 'note',
      text: "says it, of the gate's leg: the gate takes the client's version of TLS for that leg, so that they agree; clients of a leg without TLS may object",
      isFine: true,
    },
  },
  remedy: { prosody: [], ejabberd: [], other: [] },
  run: async ({ user }) =>
    user.tlsSaid === undefined ? { found: 'silent', detail: user.mechanism } : { found: 'said', detail: user.tlsSaid },
})

/** Milliseconds for a server to say something on a connection that it may not like. */
const impatience = 2_000

type Proxy = 'agreed' | 'both' | 'unwanted' | 'refused' | 'required'

export const l5 = probe<Proxy>({
  id: 'L5',
  title: 'PROXY header before the stream',
  clause: 'PROXY protocol',
  needs: 'leg',
  outcomes: {
    agreed: { verdict: 'right', text: 'takes it, as stanzagate.yaml has it, and nobody without' },
    both: { verdict: 'note', text: 'takes connections with it and without', isFine: true },
    unwanted: {
      verdict: 'right',
      text: 'wants none, and the gate sends none; it sees the address of the gate only',
      isFine: true,
    },
    refused: { verdict: 'conflict', text: 'takes none, and stanzagate.yaml has proxyProtocol' },
    required: {
      verdict: 'conflict',
      text: 'takes no connection without it, and stanzagate.yaml has no proxyProtocol',
      change: ['stanzagate.yaml: proxyProtocol: v1 for this upstream'],
    },
  },
  remedy: {
    prosody: [
      'modules_enabled = { "net_proxy" }  -- of the community; add it',
      'proxy_ports = { 15222 }',
      'proxy_port_mappings = { [15222] = "c2s" }',
      'proxy_trusted_proxies = { "127.0.0.1" }',
    ],
    ejabberd: ['use_proxy_protocol: true  # of the listener'],
    other: ['switch it on at the listener, or take upstreams.NAME.proxyProtocol out of stanzagate.yaml'],
  },
  async run(ground) {
    // The leg stands: what is configured works.
    const { target } = ground
    const isOther = await opens(ground, {
      ...target,
      proxyProtocol: target.proxyProtocol === undefined ? 'v1' : undefined,
    })
    if (target.proxyProtocol !== undefined) return { found: isOther ? 'both' : 'agreed' }
    return { found: isOther ? 'both' : 'unwanted' }
  },
})

/** Whether a stream can be opened that way. */
export async function opens(
  { domain, deadline }: Pick<ProbeTarget, 'domain' | 'deadline'>,
  target: Target,
): Promise<boolean> {
  const limit = new Promise<false>(resolve => setTimeout(() => resolve(false), impatience).unref())
  const leg = UpstreamStream.open(target, domain, deadline)
  leg.then(
    opened => opened.abort(),
    () => {},
  )
  return Promise.race([limit, leg.then(() => true).catch(() => false)])
}

/** Bytes of one stanza that are tried: what every server must take (RFC 6120 section 13.12), and up to the gate's own limit. */
const sizes = (gate: number) => [10_000, 65_536, 131_072, gate].filter(size => size <= gate)

export const l6 = probe<'enough' | 'less' | 'forbidden' | 'slow'>({
  id: 'L6',
  title: 'the largest stanza',
  clause: 'RFC 6120 13.12',
  needs: 'account',
  outcomes: {
    enough: { verdict: 'right', text: 'takes all that the gate takes' },
    less: {
      verdict: 'conflict',
      text: "takes less than the gate does: a stanza between the two limits ends the user's stream at the server",
    },
    forbidden: { verdict: 'breaks', text: 'does not take the 10,000 bytes that every server must take' },
    slow: { verdict: 'note', text: 'reads so slowly (a shaper?) that its limit was not found', isFine: true },
  },
  remedy: {
    prosody: ['c2s_stanza_size_limit = 524288  -- twice what the gate takes by default; it is 262144 unless set'],
    ejabberd: ['max_stanza_size: 524288  # of the listener; twice what the gate takes by default'],
    other: ['let it take twice what the gate takes (limits of stanzagate.yaml; 262144 bytes by default)'],
  },
  async run(accounts) {
    const announced = limitOf(accounts.user.leg, 'max-bytes')
    const says = announced === undefined ? 'announces no limit' : `announces ${announced} bytes`
    const session = await accounts.session()
    const tried = sizes(accounts.ground.clientBytes)
    let taken = 0
    try {
      for (const size of tried) {
        const stanza = stanzaOf(size, session.id())
        const { mark } = session.mail
        session.send(stanza)
        await session.mail.find('answer', mark, heard => isAnswer(heard, stanza.attrs.get('id') ?? ''))
        taken = size
      }
    } catch (error) {
      const detail = `takes ${taken} bytes; ${says}`
      if (error instanceof Late) return { found: 'slow', detail }
      if (!(error instanceof Gone)) throw error
      return {
        found: taken === 0 ? 'forbidden' : 'less',
        detail: `${detail}; at ${tried.find(size => size > taken)}: ${error.message}`,
      }
    } finally {
      await session.close()
    }
    return { found: 'enough', detail: `takes ${taken} bytes; ${says}` }
  },
})

/** A request to the user's own account that no server knows, of exactly that many bytes. */
export function stanzaOf(size: number, id: string) {
  const make = (filling: string) => iq({ type: 'get', id }, [element('query', 'urn:stanzagate:doctor', {}, [filling])])
  const empty = Buffer.byteLength(write(make('x'), { content: ns.client })) - 1
  return make('x'.repeat(size - empty))
}

export const l7 = probe<'announced' | 'short' | 'unknown'>({
  id: 'L7',
  title: 'idle clients (WebSocket, mobile)',
  clause: 'XEP-0478',
  needs: 'account',
  outcomes: {
    announced: {
      verdict: 'right',
      text: 'announces after how long a silent client is asked or ended; the gate passes it on',
    },
    short: {
      verdict: 'note',
      text: 'announces less than the 45 s after which the gate asks a WebSocket client for a sign of life',
    },
    unknown: {
      verdict: 'note',
      text: "announces nothing, and the doctor does not wait to see; the gate's WebSocket clients come to the server over TCP, where the limits of its own WebSocket do not hold",
      isFine: true,
    },
  },
  remedy: {
    prosody: ['network_settings = { read_timeout = 840 }'],
    ejabberd: ['no setting is known'],
    other: ['allow idle clients more than 60 s'],
  },
  run: async ({ user }) => {
    const seconds = limitOf(user.leg, 'idle-seconds')
    if (seconds === undefined) return { found: 'unknown' }
    return { found: seconds < 45 ? 'short' : 'announced', detail: `${seconds} s` }
  },
})

/** What the features of a session announce (XEP-0478); `undefined`: nothing. */
function limitOf({ features }: UpstreamStream, name: 'max-bytes' | 'idle-seconds'): number | undefined {
  const limits = child(features, 'limits', ns.limits)
  const value = limits && child(limits, name, ns.limits)
  return value && Number(text(value))
}
