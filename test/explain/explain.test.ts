/** What the gate makes of a stanza, and why: as a structure, in words, on the command line, and of a decision that a gate has left on record. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { RulesConfig } from '../../src/config/types.ts'
import { explained } from '../../src/explain/command.ts'
import { type Explanation, explainRecord, explainStanza, type Question } from '../../src/explain/explain.ts'
import { plainExplanation, tableExplanation } from '../../src/explain/print.ts'
import { readStanza } from '../../src/explain/read-stanza.ts'
import { type PreApprovalName, type StateName, stateNames } from '../../src/explain/states.ts'
import type { AuditRecord } from '../../src/observe/audit.ts'
import { rules } from '../../src/rules/all-rules.ts'
import type { Stanza } from '../../src/stanza/stanza.ts'
import type { Side } from '../../src/stream/item.ts'
import { connectTcp } from '../clients/raw.ts'
import { writeCertificate } from '../servers/certificate.ts'
import { startProsody } from '../servers/prosody.ts'

const jid = 'juliet@im.example/balcony'

function stanza(xml: string, from: Side = 'client'): Stanza {
  const read = readStanza(Buffer.from(xml), from)
  if ('flaw' in read) throw new Error(read.flaw)
  return read
}

function ask(from: Side, xml: string, rest: Partial<Question> = {}): Explanation {
  return explainStanza({ stanza: stanza(xml, from), from, jid, state: 'none', ...rest })
}

function modes(
  fallback: RulesConfig['default'],
  named: Record<string, RulesConfig['default']> = {},
): Partial<Question> {
  return { rules: { default: fallback, modes: new Map(Object.entries(named)), trustedDomains: ['gateway.example'] } }
}

/** What became of it, and the rules that had to do with it. */
function inShort({ verdict, isRewritten, path }: Explanation): string {
  const offByDefault = ({ rule, outcome }: (typeof path)[number]) => rule === 'redeliver-requests' && outcome === 'off'
  const spoke = path.filter(step => step.outcome !== 'nothing' && step.outcome !== 'unasked' && !offByDefault(step))
  const steps = spoke.map(({ rule, outcome, error }) => ` ${rule} ${outcome}${error === null ? '' : ` ${error}`}`)
  return `${verdict}${isRewritten ? '*' : ''}:${steps}`
}

const approval = `<presence from='romeo@im.example' to='juliet@im.example' type='subscribed'/>`
const denial = `<presence from='romeo@im.example' to='juliet@im.example' type='unsubscribed'/>`
const carbon = `<message from='mallory@im.example'><sent xmlns='urn:xmpp:carbons:2'/></message>`
const answer = `<iq type='result' id='1' from='romeo@im.example/orchard'/>`
const push = (from: string) =>
  `<iq type='set' id='1' from='${from}'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>`

t.test('stanza and state: the verdict, and the way through the rules', async t => {
  const rows: [from: Side, xml: string, rest: Partial<Question>, says: string][] = [
    ['client', `<presence/>`, {}, 'forward:'],
    ['client', `<presence type='available'/>`, {}, 'reject: presence-type decided bad-request'],
    [
      'client',
      `<presence><show>away</show><show>dnd</show></presence>`,
      {},
      'reject: presence-children decided bad-request',
    ],
    ['client', `<presence type='error'><show>a</show><show>b</show></presence>`, {}, 'drop: presence-children decided'],
    ['client', `<message from='tybalt@im.example' to='a@b'/>`, {}, 'forward*: from-is-bound-jid rewrote'],
    ['client', `<message from='juliet@im.example/old' to='a@b'/>`, {}, 'forward*: from-is-bound-jid rewrote'],
    ['client', `<presence type='subscribe' to='a@b/c'/>`, {}, 'forward*: subscription-bare-jids rewrote'],
    ['client', `<presence type='subscribe'/>`, {}, 'reject: subscription-bare-jids decided bad-request'],
    ['client', `<presence type='subscribe' to='@'/>`, {}, 'reject: subscription-bare-jids decided jid-malformed'],
    [
      'client',
      `<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='7'/></iq>`,
      {},
      'forward*: roster-version-held rewrote',
    ],
    ['client', `<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='7'/></iq>`, { versions: ['7'] }, 'forward:'],
    ['upstream', push('mallory@im.example'), {}, 'reject: roster-push-from-account decided service-unavailable'],
    ['upstream', push('juliet@im.example'), {}, 'forward:'],
    ['upstream', carbon, {}, 'drop: carbons-from-account decided'],
    ['upstream', answer, {}, 'drop: iq-answer-needs-request decided'],
    ['upstream', answer, { asked: ['romeo@im.example/orchard'] }, 'forward:'],
    ['upstream', approval, {}, 'drop: subscribed-needs-request decided'],
    ['upstream', approval, { state: 'none+ask' }, 'forward:'],
    [
      'upstream',
      approval.replace("ple'", "ple/x'"),
      {},
      'drop: subscription-bare-jids rewrote, subscribed-needs-request decided',
    ],
    ['upstream', denial, { state: 'from' }, 'drop: unsubscribed-needs-subscription decided'],
    ['upstream', denial, { state: 'both' }, 'forward:'],
    ['upstream', `<presence type='subscribed'/>`, {}, 'drop: subscribed-needs-request decided'],
    ['client', approval.replace('from=', 'x='), {}, 'forward*: subscription-bare-jids rewrote'],
    // The operator's settings.
    ['upstream', approval, modes('observe'), 'forward: subscribed-needs-request would'],
    ['upstream', approval.replace('im.', 'gateway.'), modes('enforce'), 'forward:'],
    [
      'client',
      `<presence type='x'/>`,
      modes('observe', { 'from-is-bound-jid': 'off' }),
      'forward: from-is-bound-jid off, presence-type would bad-request',
    ],
    [
      'client',
      `<presence type='subscribe' to='a@b/c'/>`,
      modes('enforce', { 'subscription-bare-jids': 'observe' }),
      'forward: subscription-bare-jids would',
    ],
  ]
  for (const [from, xml, rest, says] of rows) {
    const explanation = ask(from, xml, rest)
    t.equal(inShort(explanation), says, `${from} ${xml}`)
    t.same(
      explanation.path.map(({ rule }) => rule),
      rules.map(({ name }) => name),
      'every rule has its place',
    )
    const decided = explanation.path.findIndex(({ outcome }) => outcome === 'decided')
    const after = decided === -1 ? [] : explanation.path.slice(decided + 1)
    t.same(
      after.filter(({ outcome }) => outcome !== 'unasked' && outcome !== 'off'),
      [],
      'nobody is asked after it',
    )
    t.equal(explanation.verdict === 'forward', explanation.forwarded !== null)
  }
})

t.test('the states in which a notification would pass', async t => {
  const expected: Record<string, readonly StateName[]> = {
    // RFC 6121 section 3.1.6: a request is pending; section 3.2.3: there is something to end.
    subscribed: ['none+ask', 'from+ask', 'unknown'],
    unsubscribed: ['none+ask', 'to', 'from+ask', 'both', 'unknown'],
  }
  for (const [type, states] of Object.entries(expected))
    for (const state of stateNames) {
      const { verdict, passesIn } = ask('upstream', `<presence from='romeo@im.example' type='${type}'/>`, { state })
      t.equal(verdict, states.includes(state) ? 'forward' : 'drop', `${type} in ${state}`)
      t.same(passesIn, states)
    }
  t.equal(ask('upstream', `<presence from='a@b' type='subscribe'/>`).passesIn, null, 'nothing hangs on it there')
  t.equal(ask('client', `<presence to='a@b' type='subscribed'/>`).passesIn, null)
  t.same(ask('upstream', approval, modes('off')).passesIn, stateNames)
})

t.test('what a server does with it', async t => {
  const rows: [from: Side, type: string, state: StateName, ...steps: string[]][] = [
    ['client', 'subscribe', 'none', 'None routes → None + Pending Out'],
    ['client', 'subscribed', 'none', 'None not → None', 'None + Pending In routes → From'],
    ['client', 'unsubscribed', 'to', 'To not → To', 'To + Pending In routes → To'],
    ['client', 'unsubscribe', 'both', 'Both routes → From'],
    ['upstream', 'subscribed', 'none+ask', 'None + Pending Out routes → To'],
    ['upstream', 'subscribed', 'none', 'None not → None'],
    ['upstream', 'subscribed', 'from+ask', 'From + Pending Out routes → Both'],
    ['upstream', 'subscribe', 'from', 'From not → From subscribed'],
    ['upstream', 'subscribe', 'to', 'To routes → To + Pending In', 'To + Pending In not → To + Pending In'],
    ['upstream', 'unsubscribe', 'both', 'Both routes → To unsubscribed'],
    ['upstream', 'unsubscribed', 'unknown'],
  ]
  for (const [from, type, state, ...steps] of rows) {
    const { server } = ask(from, `<presence from='${from === 'client' ? jid : 'a@b'}' to='a@b' type='${type}'/>`, {
      state,
    })
    const told = server.map(({ before, after, passes, autoReply }) =>
      [before, passes ? 'routes' : 'not', '→', after, ...(autoReply === null ? [] : [autoReply])].join(' '),
    )
    t.same(told, steps, `${type} from ${from} in ${state}`)
  }
  t.same(ask('client', '<presence/>').server, [])

  // RFC 6121 section 3.4.
  const offered: [PreApprovalName, from: Side, type: string, state: StateName, ...steps: string[]][] = [
    ['none', 'client', 'subscribed', 'none', 'None not → None', 'None + Pending In routes → From'],
    ['offered', 'client', 'subscribed', 'none', 'None not → None approved', 'None + Pending In routes → From'],
    ['offered', 'client', 'subscribed', 'both', 'Both not → Both'],
    [
      'offered',
      'upstream',
      'subscribe',
      'none',
      'None routes → None + Pending In',
      'None + Pending In not → None + Pending In',
    ],
    ['approved', 'client', 'unsubscribed', 'to', 'To not → To', 'To + Pending In routes → To approved'],
    [
      'approved',
      'upstream',
      'subscribe',
      'to',
      'To not → Both subscribed approved',
      'To + Pending In not → To + Pending In approved',
    ],
  ]
  for (const [preApproval, from, type, state, ...steps] of offered) {
    const address = from === 'client' ? `to='a@b'` : `from='a@b'`
    const { server, verdict } = ask(from, `<presence ${address} type='${type}'/>`, { state, preApproval })
    const told = server.map(({ before, after, passes, autoReply, approved }) =>
      [before, passes ? 'routes' : 'not', '→', after, autoReply, approved && 'approved'].filter(Boolean).join(' '),
    )
    t.same(told, steps, `${type} from ${from} in ${state}, ${preApproval}`)
    t.equal(verdict, 'forward')
  }
})

t.test('what is passed on and what is answered', async t => {
  const rewritten = ask('client', `<presence type='subscribe' to='a@b/c' id='1'/>`)
  t.equal(rewritten.forwarded, `<presence type="subscribe" to="a@b" id="1" from="juliet@im.example"/>`)
  const rejected = ask('client', `<presence type='x' to='a@b' id='1'/>`)
  t.match(
    rejected.answer,
    /^<presence from="a@b" to="juliet@im.example\/balcony" id="1" type="error"><error type="modify" by="im.example"><bad-request /,
  )
  const closing: RulesConfig = { default: 'enforce', modes: new Map(), trustedDomains: [], foreignFrom: 'close' }
  t.match(
    ask('client', `<iq from='x@y' type='get' id='1'/>`, { rules: closing }).answer,
    /^<stream:error><invalid-from /,
  )
  const pushed = ask('upstream', push('mallory@im.example'))
  t.match(pushed.answer, /^<iq to="mallory@im.example" id="1" type="error"><error type="cancel" by="im.example">/)
  t.same([ask('upstream', approval).answer, ask('upstream', approval).forwarded], [null, null])
})

t.test('why, in words that are the rules’ own', async t => {
  const dropped = ask('upstream', approval)
  t.same(dropped.why, [
    'subscribed-needs-request decided: an approval is believed only when the roster shows the request (RFC 6121 3.1.6).',
    'It is not passed on, and nobody is told.',
  ])
  t.match(ask('upstream', approval, { state: 'unknown' }).why, [/^Nothing is known of the contact/])
  const wary: RulesConfig = { default: 'enforce', modes: new Map(), trustedDomains: [], unknown: 'drop' }
  const unverified = ask('upstream', approval, { state: 'unknown', rules: wary })
  t.equal(unverified.verdict, 'drop')
  t.match(unverified.why.at(-1), /^Nothing is known of the contact, and rules.unknown is drop/)
  t.same(ask('client', '<presence/>').why, ['No rule has anything against it.'])
  t.match(ask('upstream', approval, modes('observe')).why, [/only observes, and would have left it out: an approval/])
  t.match(ask('upstream', `<presence from='a@b.example' type='subscribe'/>`).why, [
    'No rule has anything against it.',
    /may be held nevertheless/,
  ])
  const stranger = (from: string, state: StateName = 'none') =>
    ask('upstream', `<presence from='${from}' type='subscribe'/>`, {
      ...{ state, strangers: { strangers: { listed: 'drop', ownDomain: 'accept' }, listed: ['spam.example'] } },
    }).why[2]
  t.match(stranger('a@spam.example'), /of the class listed, for which limits.pendingRequests.strangers says drop\.$/)
  t.match(stranger('a@im.example'), /of the class ownDomain, .* says accept\.$/)
  t.match(stranger('far.example', 'unknown'), /of the class gateway, .* says hold\.$/)
  t.match(stranger('a@far.example'), /of the class other, .* says hold; with contacts of this domain in the roster/)
  t.equal(stranger('a@spam.example', 'to'), undefined, 'a contact')
  t.match(ask('client', `<presence type='x'/>`).why[1], /answered with bad-request \("The type/)
  t.match(ask('client', `<presence type='error'><show>a</show><show>b</show></presence>`).why[2], /never answered/)
})

t.test('a decision on record', async t => {
  const record = {
    from: 'upstream',
    kind: 'presence',
    type: 'subscribed',
    account: 'juliet@im.example',
    contact: 'hmac:00112233445566778899aabbccddeeff',
    state: 'none',
    verdict: 'drop',
    said: [
      { rule: 'subscription-bare-jids', mode: 'enforce', verdict: 'forward' },
      { rule: 'subscribed-needs-request', mode: 'enforce', verdict: 'drop' },
    ],
  } as const
  const explanation = explainRecord(record)
  t.equal(inShort(explanation), 'drop: subscription-bare-jids rewrote, subscribed-needs-request decided')
  t.same(explanation.passesIn, ['none+ask', 'from+ask', 'unknown'])
  t.equal(explanation.clause, 'RFC 6121 3.1.6')
  t.equal(explanation.contact, record.contact)
  t.same(explanation.why, ask('upstream', approval.replace("ple'", "ple/x'")).why)

  const held = explainRecord({
    ...{ ...record, type: 'subscribe', said: [{ rule: 'pending-requests', mode: 'enforce', verdict: 'drop' }] },
  })
  t.equal(inShort(held), 'drop: pending-requests decided')
  t.match(held.why, [/^pending-requests decided: .* \(RFC 6121 3\.1\.3\)\.$/, /^It is held until there is room/])
  const granted = explainRecord({
    ...{ ...record, said: [{ rule: 'subscription-needs-request', mode: 'enforce', verdict: 'drop' }] },
  })
  t.equal(inShort(granted), 'drop: subscription-needs-request decided')
  t.match(granted.why, [/ \(RFC 6121 3\.1\.6\)\.$/, /^It showed that the server has granted the subscription/])

  const again = explainRecord({
    ...{ ...record, type: 'subscribe', verdict: 'forward' },
    said: [{ rule: 'redeliver-requests', mode: 'enforce', verdict: 'forward' }],
  })
  t.equal(inShort(again), 'forward*: redeliver-requests rewrote')
  t.match(again.why, [/^The gate delivers it, as the server has not: .* \(RFC 6121 3\.1\.3\)\.$/])

  const observed = {
    ...record,
    verdict: 'drop',
    said: [{ rule: 'a-rule-of-old', mode: 'observe', verdict: 'drop' }],
  } as const
  t.equal(inShort(explainRecord(observed)), 'forward: a-rule-of-old would', 'a rule that is no more')
  const phase = explainRecord({ ...record, from: 'client', kind: 'message', verdict: 'reject', said: [], state: null })
  t.match(phase, { verdict: 'reject', rule: null, why: [/phase/], passesIn: null, server: [] })
})

t.test('on a terminal and in a pipe', async t => {
  const evil = ask(
    'client',
    `<presence type='subscribe' to='a@b' id='\u202e&#x9b;x&#10;'><status>one&#10;two</status></presence>`,
  )
  const painted = new Set<string>()
  const style = (format: string, text: string) => {
    painted.add(format)
    return `<${format}>${text}</>`
  }
  for (const text of [plainExplanation(evil, [['note', 'last']]), tableExplanation(evil, [['note', 'last']], style)]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    t.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
    t.match(text, /last\n$/)
    for (const { name } of rules) t.match(text, name)
  }
  t.ok(painted.has('bold') && painted.has('yellow') && painted.has('green'))
  const lines = plainExplanation(ask('upstream', approval), []).trimEnd().split('\n')
  for (const line of lines) t.match(line, /^(verdict|rule|why|passes in|server): \S/)
  t.equal(
    lines[0],
    'verdict: presence subscribed from romeo@im.example to juliet@im.example, state none: drop by subscribed-needs-request',
  )
})

t.test('what cannot be read', async t => {
  const rows: [text: string | Buffer, flaw: RegExp][] = [
    ['', /^there is nothing in it/],
    [' \n', /^there is nothing in it/],
    ['<presence', /^line 1, column 10: the stanza is not complete$/],
    ['<presence>\n<a>', /^line 2, column 4: the stanza is not complete$/],
    ['<presence>\n  <a></b></presence>', /^line 2, column 9: not-well-formed/],
    ['<presence>ü\nü<a b=c/></presence>', /^line 2, column 7: not-well-formed/],
    ['<!-- a --><presence/>', /^line 1, column \d: restricted-xml/],
    ['words', /^line 1, column 1: bad-format/],
    [Buffer.from([0x3c, 0x61, 0xff, 0x3e]), /^line 1, column 3: unsupported-encoding|^line 1/],
    ['<presence/><presence/>', /^there is more than one stanza/],
    ['<presence/><presence', /^line 1, column 21: the stanza is not complete$/],
    ['</stream:stream>', /^there is no stanza in it/],
    ['<foo/>', /^<foo> is no stanza: write a message, presence or iq of 'jabber:client'$/],
    [`<presence xmlns='jabber:server'/>`, /^<presence> of 'jabber:server' is no stanza/],
  ]
  for (const [text, flaw] of rows) {
    const read = readStanza(Buffer.from(text), 'client')
    t.match('flaw' in read ? read.flaw : 'none', flaw, String(text))
  }
})

const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

function start(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [cli, ...args], { cwd, env: { ...process.env, ...env } })
}

async function run(args: readonly string[], cwd: string, input = '', env: NodeJS.ProcessEnv = {}) {
  const child = start(args, cwd, env)
  let out = ''
  let err = ''
  child.stdout?.on('data', data => {
    out += data
  })
  child.stderr?.on('data', data => {
    err += data
  })
  child.stdin?.on('error', () => {}) // it may have ended without reading
  child.stdin?.end(input)
  const [status] = await once(child, 'close')
  return { status, out, err }
}

const config = (port: number, audit = '') => `
listeners:
  - { kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: starttls, cert: certificate.pem, key: key.pem } }
  - { kind: tcp, name: plain, address: 127.0.0.1, port: 0, tls: { mode: none } }
upstreams:
  main: { address: 127.0.0.1, port: ${port}, tls: { mode: none } }
routes:
  - { domain: localhost, upstream: main }
${audit}
`
const key = { AUDIT_KEY: 'sixteen characters and more' }

const recorded = {
  ...{ time: '2026-01-02T03:04:05.678Z', account: 'a@b', contact: null, from: 'client', kind: 'iq', type: 'get' },
  ...{ state: null, verdict: 'forward', said: [], route: null, listener: 'tcp', session: 1 },
}
/** Records that somebody else has written, from line 3 and id 3 on: the first is right. */
const strange: Record<string, unknown>[] = [
  { said: [{ rule: 'x', mode: 'observe', verdict: 'drop' }] },
  ...[[1, null], [{}], [{ rule: 'x', mode: 'off', verdict: 'drop' }], {}].map(said => ({ said })),
  { said: [{ rule: 'x', mode: 'enforce', verdict: 'drop', error: 1 }] },
  ...[{ verdict: 'x' }, { session: '1' }, { account: 1 }, { from: 'upstream' }, { kind: 'x' }, { time: 1 }],
]
const odd = strange.map((rest, at) => `${JSON.stringify({ ...recorded, ...rest, id: `odd${at + 3}.` })}\n`).join('')

t.test('the command: status and output', async t => {
  const folder = t.testdir({
    'approval.xml': `${approval}\n`,
    'answer.xml': answer,
    'broken.xml': '<presence>\n</message>',
    'observe.yaml': config(1, 'rules: { default: observe }'),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
    'hashed.yaml': config(1, "audit: { file: audit.jsonl, hash: true, key: '${AUDIT_KEY}' }"),
    'audit.jsonl': `{"id":"0000000000000001","kind":"presence"}\n{"id":"00000000000000\n${odd}`,
    'endless.jsonl': `\n${'x'.repeat(1_100_000)}`,
  })
  await writeCertificate(folder, ['localhost'])
  const rows: [args: string[], status: number, out: RegExp, err: RegExp, input?: string][] = [
    [
      ['approval.xml'],
      0,
      /^verdict: presence subscribed [^\n]*: drop by subscribed-needs-request\n[\s\S]*\nnote: /,
      /^$/,
    ],
    [['approval.xml', '--from', 'server'], 0, /^verdict: (?![\s\S]*\nnote: )/, /^$/],
    [['approval.xml', '--state', 'none+ask'], 0, /: forward\n/, /^$/],
    [['approval.xml', '-c', 'observe.yaml'], 0, /: forward \(subscribed-needs-request only observes\)\n/, /^$/],
    [
      ['approval.xml', '--account', 'romeo@im.example'],
      0,
      /^verdict: presence subscribed from romeo@im.example to jul/,
      /^$/,
    ],
    [['-', '--json'], 0, /^\{[\s\S]*"verdict": "forward"/, /^$/, '<presence/>'],
    [['answer.xml', '--asked', 'romeo@im.example/orchard'], 0, /: forward\n/, /^$/],
    [
      ['-', '--pre-approval', 'offered'],
      0,
      /state None does not route it and stays there, with the contact pre-approved \(RFC 6121 section 3\.4\)\n/,
      /^$/,
      `<presence to='a@b' type='subscribed'/>`,
    ],
    [
      ['-', '--from', 'client'],
      0,
      /state None does not route it and stays there\n/,
      /^$/,
      `<presence to='a@b' type='subscribed'/>`,
    ],
    [['approval.xml', '--pre-approval', 'offer'], 2, /^$/, /--pre-approval offer: write none, offered, approved/],
    [['answer.xml', '--asked', '%%'], 2, /^$/, /--asked %%: give a JID/],
    [['answer.xml', '--asked', 'a@b', '--asked', 'a b@c'], 2, /^$/, /--asked a b@c: give a JID/],
    [['answer.xml', '--key-env', 'AUDIT_KEY'], 2, /^$/, /--key-env NAME needs --jid JID/],
    ...['from', 'state', 'pre-approval', 'account', 'asked', 'roster-version', 'config'].map(
      (name): [string[], number, RegExp, RegExp] => [
        ['--audit', 'audit.jsonl', '--id', 'x', `--${name}`, 'none'],
        ...([2, /^$/, new RegExp(`--${name} says nothing with --audit`)] as const),
      ],
    ),
    [['--jid', 'a@b', '--key-env', 'AUDIT_KEY', '--state', 'to'], 2, /^$/, /--state says nothing with --jid/],
    [['--jid', 'a@b', '--key-env', 'AUDIT_KEY', '--json'], 0, /^\{\n {2}"jid": "a@b",\n {2}"hash": "hmac:/, /^$/],
    [['--help'], 0, /--state STATE[\s\S]*Exit status/, /^$/],
    [['broken.xml'], 2, /^$/, /^stanzagate explain: broken\.xml: line 2, column \d+: not-well-formed/, ''],
    [['none.xml'], 2, /^$/, /none\.xml cannot be read \(ENOENT\)/],
    [['-'], 2, /^$/, /standard input: there is nothing in it/, ''],
    [[], 2, /^$/, /give a file with a stanza[\s\S]*--help/],
    [['approval.xml', 'more'], 2, /^$/, /'more' is too much/],
    [['approval.xml', '--state', 'non+ask'], 2, /^$/, /did you mean 'none\+ask'\?/],
    [
      ['approval.xml', '--state', 'elsewhere'],
      2,
      /^$/,
      /states are none, none\+ask, to, from, from\+ask, both, unknown/,
    ],
    [['approval.xml', '--from', 'upstream'], 2, /^$/, /write client or server/],
    [['approval.xml', '--account', 'im.example'], 2, /^$/, /give a JID/],
    [['approval.xml', '--wrong'], 2, /^$/, /--wrong/],
    [['approval.xml', '-c', 'none.yaml'], 2, /^$/, /^none\.yaml/],
    [['approval.xml', '--id', 'x'], 2, /^$/, /--id ID needs --audit FILE/],
    [['--audit', 'audit.jsonl'], 2, /^$/, /needs --id ID/],
    [
      ['--audit', 'audit.jsonl', '--id', '0000000000000001'],
      2,
      /^$/,
      /audit\.jsonl, line 1: this is no record of an audit/,
    ],
    ...strange.map((_, at): [string[], number, RegExp, RegExp] =>
      at === 0
        ? [['--audit', 'audit.jsonl', '--id', 'odd3.'], 0, /^verdict: iq get .*x only observes[\s\S]*session 1\n/, /^$/]
        : [
            ['--audit', 'audit.jsonl', '--id', `odd${at + 3}.`],
            2,
            /^$/,
            new RegExp(`l, line ${at + 3}: this is no rec`),
          ],
    ),
    [['--audit', 'audit.jsonl', '--id', 'other'], 2, /^$/, /no decision 'other' among the 14 lines of audit\.jsonl/],
    [['--audit', 'endless.jsonl', '--id', 'x'], 2, /^$/, /endless\.jsonl, line 2: it has more than 1048576 characters/],
    [['--audit', '/dev/zero', '--id', 'x'], 2, /^$/, /zero, line 1: it has more than 1048576 characters/],
    [['--audit', 'none.jsonl', '--id', 'x'], 2, /^$/, /none\.jsonl cannot be read \(ENOENT\)/],
    [['--jid', 'romeo@im.example', '-c', 'hashed.yaml'], 0, /^hmac:[0-9a-f]{32}\n$/, /^$/],
    [['--jid', 'ROMEO@im.example', '--key-env', 'AUDIT_KEY'], 0, /^hmac:[0-9a-f]{32}\n$/, /^$/],
    [['--jid', 'romeo@im.example', '-c', 'observe.yaml'], 2, /^$/, /no audit with hash: true and a key/],
    [['--jid', 'romeo@im.example'], 2, /^$/, /needs --config FILE or --key-env NAME/],
    [['--jid', '@'], 2, /^$/, /give a JID/],
  ]
  const before = process.cwd()
  process.chdir(folder)
  Object.assign(process.env, key)
  t.teardown(() => {
    process.chdir(before)
    delete process.env.AUDIT_KEY
  })
  const hashes = new Set<string>()
  for (const [args, status, out, err, input] of rows) {
    // A process takes a second on a busy machine: only what needs one has it.
    const outcome = input === undefined ? await explained(args) : await run(['explain', ...args], folder, input)
    const call = `stanzagate explain ${args.join(' ')}`
    t.equal(outcome.status, status, `${call}: ${status}`)
    t.match(outcome.out, out, `${call}: what it prints`)
    t.match(outcome.err, err, `${call}: what it complains of`)
    if (outcome.out.startsWith('hmac:')) hashes.add(outcome.out)
  }
  t.equal(hashes.size, 1, 'one hash, whatever the spelling and wherever the key is from')
})

t.test('a forged approval, from a server to a line of the audit to its explanation', async t => {
  const prosody = await startProsody({ plain: true, accounts: { juliet: 'secret', romeo: 'secret' } })
  t.teardown(() => prosody.stop())
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
  const hashed = "audit: { file: hashed.jsonl, hash: true, key: '${AUDIT_KEY}', all: true }"
  const folder = t.testdir({
    'plain.yaml': config(prosody.port, 'audit: { file: audit.jsonl }'),
    'hashed.yaml': config(prosody.port, hashed),
  })
  await writeCertificate(folder, ['localhost'])
  const gate = start(['serve', '-c', 'plain.yaml'], folder)
  t.teardown(() => gate.kill('SIGKILL'))
  const log = createInterface({ input: gate.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const logged = async (msg: RegExp) => {
    for (let next = await log.next(); !next.done; next = await log.next()) {
      const line = JSON.parse(next.value)
      if (msg.test(line.msg)) return line
    }
    throw new Error(`it ended without ${msg}`)
  }
  const { listeners } = await logged(/^serving$/)
  const { port } = listeners.find((each: { name: string }) => each.name === 'plain')
  const juliet = await (await connectTcp(port)).login('juliet', 'balcony')
  await juliet.appear()
  const forged = (from: string) =>
    prosody.inject(juliet.jid, `<presence from='${from}' to='juliet@localhost' type='subscribed'/>`)
  await forged('romeo@localhost')
  t.same(await juliet.settled(), [], 'she is told nothing')
  const decision = await logged(/^stanza judged$/)

  const file = join(folder, 'audit.jsonl')
  const records = async (path: string, count: number): Promise<AuditRecord[]> => {
    for (;;) {
      const lines = readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1)
      if (lines.length >= count) return lines.map(line => JSON.parse(line))
      await juliet.settled()
    }
  }
  const [record, ...more] = await records(file, 1)
  t.same(more, [], 'one line, and none for what just went on')
  t.match(record, {
    id: decision.decision,
    ...{ account: 'juliet@localhost', contact: 'romeo@localhost', from: 'server', type: 'subscribed', state: 'none' },
    ...{ verdict: 'drop', rule: 'subscribed-needs-request', route: 'localhost', listener: 'plain', session: 1 },
  })
  const told = await run(['explain', '--audit', 'audit.jsonl', '--id', String(record?.id).toUpperCase()], folder)
  t.equal(told.status, 0, told.err)
  t.match(
    told.out,
    /^verdict: presence subscribed from romeo@localhost to juliet@localhost, state none: drop by subscribed-/,
  )
  t.match(
    told.out,
    new RegExp(`\ndecision: ${record?.id} at ${record?.time}, route localhost, listener plain, session 1\n`),
  )

  // logrotate, which moves the file and says so.
  renameSync(file, `${file}.1`)
  gate.kill('SIGHUP')
  await logged(/SIGHUP/)
  await forged('mallory@localhost')
  await logged(/^stanza judged$/)
  t.equal((await records(file, 1))[0]?.contact, 'mallory@localhost')
  t.equal((await records(`${file}.1`, 1)).length, 1)

  // What another session of the account has seen is known too.
  const tablet = await (await connectTcp(port)).login('juliet', 'tablet')
  await prosody.inject(tablet.jid, `<presence from='romeo@localhost' to='juliet@localhost' type='unsubscribed'/>`)
  t.same(await tablet.settled(), [])
  t.match((await records(file, 2))[1], { session: 2, type: 'unsubscribed', state: 'none', verdict: 'drop' })
  tablet.transport.destroy()

  juliet.transport.destroy()
  gate.kill('SIGTERM')
  t.equal((await once(gate, 'close'))[0], 0)

  // Every subscription stanza, and nobody's name.
  const second = start(['serve', '-c', 'hashed.yaml'], folder, key)
  t.teardown(() => second.kill('SIGKILL'))
  for await (const line of createInterface({ input: second.stdout as NodeJS.ReadableStream })) {
    const told = JSON.parse(line)
    if (told.msg !== 'serving') continue
    const { port } = told.listeners.find((each: { name: string }) => each.name === 'plain')
    const romeo = await (await connectTcp(port)).login('romeo', 'orchard')
    await romeo.appear()
    romeo.send(`<presence xmlns='jabber:client' type='subscribe' to='juliet@localhost' from='romeo@localhost'/>`)
    await romeo.settled()
    romeo.transport.destroy()
    break
  }
  second.kill('SIGTERM')
  t.equal((await once(second, 'close'))[0], 0, 'and what waited was written before')
  const text = readFileSync(join(folder, 'hashed.jsonl'), 'utf8')
  t.notMatch(text, /romeo|juliet/)
  const [asked] = text.split('\n').map(line => (line === '' ? undefined : (JSON.parse(line) as AuditRecord)))
  t.match(asked, { from: 'client', type: 'subscribe', verdict: 'forward', rule: null, state: 'none' })
  const { out } = await run(['explain', '--jid', 'Juliet@localhost', '-c', 'hashed.yaml'], folder, '', key)
  t.equal(out, `${asked?.contact}\n`)
  writeFileSync(join(folder, 'moved.jsonl'), text)
  t.match((await run(['explain', '--audit', 'moved.jsonl', '--id', String(asked?.id)], folder)).out, /: forward\n/)
})
