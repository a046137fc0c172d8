/** The doctor against real servers, whose deviations are known, and its parts that need none. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { probes } from '../../src/doctor/all-probes.ts'
import { doctor } from '../../src/doctor/command.ts'
import { fromFile } from '../../src/doctor/passwords.ts'
import { plainReport, tableReport } from '../../src/doctor/print.ts'
import { channelBinding, stanzaOf } from '../../src/doctor/probes-leg.ts'
import { type DoctorOptions, examine, type Report } from '../../src/doctor/run.ts'
import { exchangeFor } from '../../src/doctor/sasl.ts'
import { rules } from '../../src/rules/all-rules.ts'
import { element } from '../../src/xml/element.ts'
import { write } from '../../src/xml/writer.ts'
import { connectTcp } from '../clients/raw.ts'
import { type Certificate, writeCertificate } from '../servers/certificate.ts'
import { type Ejabberd, startEjabberd } from '../servers/ejabberd.ts'
import { type Prosody, startProsody } from '../servers/prosody.ts'

t.setTimeout(180_000) // it takes about 25 s

const both = [
  { jid: 'romeo@localhost', password: 'secret' },
  { jid: 'juliet@localhost', password: 'secret' },
]

/** An examination by one account and a component, of a plain leg, unless the options say otherwise. */
function optionsFor(server: Prosody | Ejabberd, changes: Partial<DoctorOptions> = {}): DoctorOptions {
  const { address, port, ports } = server
  return {
    upstream: 'main',
    domain: 'localhost',
    target: target(address, port),
    accounts: both.slice(0, 1),
    component: { domain: 'stranger.localhost', address, port: ports.component ?? 0, secret: 'hush' },
    clientBytes: 262_144,
    strangers: 20,
    patience: 20_000,
    force: false,
    rules: { default: 'enforce', modes: new Map([['presence-type', 'observe']]), trustedDomains: [] },
    signal: new AbortController().signal,
    progress: () => {},
    ...changes,
  }
}

function target(address: string, port: number): DoctorOptions['target'] {
  return { address, port, mode: 'none', ca: undefined, servername: undefined, proxyProtocol: undefined }
}

/** `id: verdict detail` of the probes that are named. */
function found({ probes }: Report, ids: readonly string[] = probes.map(({ id }) => id)): Record<string, string> {
  const lines = probes.filter(({ id }) => ids.includes(id))
  return Object.fromEntries(
    lines.map(({ id, verdict, result, detail }) => [
      id,
      `${verdict}: ${result}${detail === undefined ? '' : ` [${detail}]`}`,
    ]),
  )
}

const wrongTypes = "['bogus': bad-request, 'Subscribe': bad-request, '': bad-request, ' subscribe ': bad-request]"
const quiet = 'announces nothing, and the doctor does not wait to see; '
const idle = `note: ${quiet}the gate's WebSocket clients come to the server over TCP, where the limits of its own WebSocket do not hold`
const alike = {
  L2: 'right: offers what clients can use through the gate [PLAIN, SCRAM-SHA-1]',
  L3: "right: offers none: clients' TLS ends at the gate, so none could hold",
  L4: 'right: does not sign the list of mechanisms [SCRAM-SHA-1]',
  L5: 'right: wants none, and the gate sends none; it sees the address of the gate only',
  L6: 'right: takes all that the gate takes [takes 262144 bytes; announces no limit]',
  L7: idle,
  L8: 'right: says nothing of it [SCRAM-SHA-1]',
  T1: 'right: ignores it',
  T3: 'right: ignores it',
  T4: 'right: ignores it',
  T7: `right: answers each with an error ${wrongTypes}`,
  T7f: 'right: answers the stranger with an error',
  T9b: 'right: routes it, as it must',
  T12: "right: keeps the user's name for the contact ['Named by the user']",
  T13: 'note: delivers it, as servers may: a client that does not look at its sender takes it for its own roster',
  T15: 'note: delivers all of them [20 of 20; 20 at the next login]',
}
const known = {
  prosody: {
    ...alike,
    L1: 'right: offers none, and the gate wants none',
    T2: 'right: ignores it',
    T4b: 'right: delivers it from the bare JID',
    T5: 'right: delivers the presence, then pushes the roster item [the presence from the bare JID]',
    T6: 'right: routes it to the bare JID',
    T7b: 'right: answers with an error [bad-request]',
    T8: 'right: does not route it',
    T9: 'right: does not route it',
    T10: "right: delivers one [1 of 3; 3 acknowledged to the sender with 'unavailable']",
    T11: 'right: answers with an error [bad-request]',
    T14: 'breaks: tells the contact from the full JID: a strict server may not take it [unsubscribe, unsubscribed]',
  },
  ejabberd: {
    ...alike,
    L1: 'right: offers it and does not ask for it; the gate does without',
    T2: "breaks: believes it: the roster changes [roster 'both', seen by the client: push, presence]",
    T4b: 'note: delivers it from the full JID, as the other server sent it: a client may take it for another contact',
    T5: 'breaks: pushes the roster item, then delivers the presence; clients and the gate take either order [the presence from the full JID]',
    T6: 'breaks: routes it to the full JID',
    T7b: 'breaks: takes it, and tells it to all who may see the presence',
    T8: 'breaks: routes it: your users can send it to anybody',
    T9: 'breaks: routes it (SHOULD NOT); harmless to a server that checks',
    T10: 'right: delivers one [1 of 3]',
    T11: 'right: ignores it',
    T14: 'right: tells the contact from the bare JID [unsubscribe, unsubscribed]',
  },
}

/** What needs no stranger, and so is found without one too. */
const withoutStranger = ['L1', 'L2', 'L3', 'L4', 'L5', 'L6', 'L7', 'L8', 'T5', 'T7', 'T7b', 'T10', 'T11', 'T12', 'T13']

/** What a client finds in an account: its roster's items, and the requests that wait for it. */
async function account(server: Prosody | Ejabberd, user: string): Promise<string[]> {
  const client = await connectTcp(server.port)
  await client.login(user, 'looking')
  const roster = await client.appear()
  const seen = await client.settled()
  client.transport.destroy()
  const [query] = roster.children
  const items = typeof query === 'object' ? query.children : []
  return [
    ...items.map(item => (typeof item === 'object' ? (item.attrs.get('jid') ?? '') : item)),
    ...seen.filter(line => /type=subscribe/.test(line)),
  ]
}

t.test('Prosody', async t => {
  const server = await startProsody({ plain: true, componentSecret: 'hush' })
  t.teardown(() => server.stop())

  await t.test('its deviations are found, and the account is left as it was', async t => {
    const report = await examine(optionsFor(server))
    t.same(found(report), known.prosody)
    t.match(report.server, { kind: 'prosody', name: 'Prosody', version: /^0\.12/ })
    t.same([report.left, report.failure], [[], undefined])
    t.same(await account(server, 'romeo'), [], 'no item and no request is left')
    t.match(report.probes.find(({ id }) => id === 'T13')?.rules, [
      { name: 'roster-push-from-account', mode: 'enforce' },
    ])
    t.match(report.probes.find(({ id }) => id === 'T13')?.change, [/block_strangers/])
  })

  await t.test('two accounts and no component', async t => {
    const report = await examine(optionsFor(server, { accounts: both, component: undefined }))
    const expected = Object.entries(known.prosody).filter(([id]) => withoutStranger.includes(id))
    t.same(found(report, withoutStranger), Object.fromEntries(expected))
    for (const { id, verdict, result } of report.probes) {
      if (!withoutStranger.includes(id))
        t.same([verdict, result], ['not run', 'needs a stranger: give a component'], id)
    }
    t.same([report.left, report.failure], [[], undefined])
    t.same([await account(server, 'romeo'), await account(server, 'juliet')], [[], []])
    const printed = plainReport(report)
    t.match(printed, /^T1 not run, RFC 6121 3\.1\.6: a stranger's/m)
    t.match(
      printed,
      /--component-secret-env NAME[\s\S]*component_secret = [\s\S]*ejabberd_service/,
      'how to have them run',
    )
    t.match(printed, /The accounts are as they were/)
  })

  await t.test('what another client changes meanwhile is not put back, and told', async t => {
    const client = await connectTcp(server.port)
    await client.login('romeo', 'meddling')
    const set = (item: string) =>
      client.send(`<iq xmlns='jabber:client' type='set' id='set'><query xmlns='jabber:iq:roster'>${item}</query></iq>`)
    const progress: DoctorOptions['progress'] = (_done, _all, { id }) => {
      if (id === 'T2') set(`<item jid='nurse@localhost' name='Nurse'><group>House</group></item>`)
    }
    const report = await examine(optionsFor(server, { progress }))
    t.same(report.left, ["romeo@localhost: in its roster is left nurse@localhost (none, 'Nurse', in 'House')"])
    t.match(plainReport(report), /^Not put back: romeo@localhost: in its roster is left nurse/m)
    t.notMatch(plainReport(report), /as they were/)

    const refused = await examine(optionsFor(server))
    t.match(refused.failure, /^romeo@localhost: its roster is not empty \(1\).*--force/)
    t.same(
      new Set(refused.probes.filter(({ id }) => id.startsWith('T')).map(each => each.verdict)),
      new Set(['not run']),
    )

    const forced = await examine(optionsFor(server, { force: true }))
    t.same(found(forced), known.prosody, 'forced: as before')
    t.same([forced.left, await account(server, 'romeo')], [[], ['nurse@localhost']], 'and the contact is still there')
    set(`<item jid='nurse@localhost' subscription='remove'/>`)
    await client.settled()
    client.transport.destroy()
  })

  await t.test('an interruption ends it in good order', async t => {
    const interrupt = new AbortController()
    const progress: DoctorOptions['progress'] = (_done, _all, { id }) => {
      if (id === 'T3') interrupt.abort()
    }
    const report = await examine(optionsFor(server, { progress, signal: interrupt.signal }))
    t.match(found(report, ['T2', 'T3', 'T4', 'T15']), {
      T2: 'right: ignores it',
      T3: 'right: ignores it',
      T4: 'not run: interrupted',
      T15: 'not run: interrupted',
    })
    t.same([report.failure, report.left, await account(server, 'romeo')], ['interrupted', [], []])
  })

  await t.test('the command line', async t => {
    const folder = t.testdir({})
    await writeCertificate(folder, ['localhost'])
    const config = join(folder, 'stanzagate.yaml')
    const secrets = join(folder, 'secrets')
    await writeFile(config, configFor(server.port))
    await writeFile(secrets, `# of the tests\nromeo@localhost ${'$'}{ROMEO}\nstranger.localhost hush\n`)
    const address = `127.0.0.1:${server.ports.component}`
    const component = ['--component', 'stranger.localhost', '--component-address', address]
    const calling = ['-c', config, '--account', 'romeo@localhost']
    const two = [...calling, '--account', 'juliet@localhost']

    const few = ['--password-file', secrets, '--strangers', '3', '--json']
    const json = await call([...calling, ...component, ...few])
    t.same([json.status, json.err], [0, ''], 'a report, and no progress on a pipe')
    const report = JSON.parse(json.out) as Report
    t.match(report, { upstream: 'main', domain: 'localhost', server: { kind: 'prosody' }, left: [] })
    const keys = ['change', 'clause', 'id', 'result', 'rules', 'title', 'verdict']
    t.same(Object.keys(report.probes[0] ?? {}).toSorted(), keys)
    t.same(
      report.probes.map(({ id }) => id),
      probes.map(({ id }) => id),
    )
    t.equal(report.probes.at(-1)?.detail, '3 of 3; 3 at the next login')

    const plain = await spawned([...two, '--password-env', 'ROMEO'])
    t.same([plain.status, plain.err], [0, ''])
    t.match(plain.out, /^localhost at upstream 'main': Prosody 0\.12\S*: 13 right, 2 note, 12 not run\n/)

    const shown = await call(two, { keys: ['secret\r', 'secrex\u007ft\n'], columns: 100 })
    t.equal(shown.status, 0)
    t.match(shown.err, /^Password for romeo@localhost: \nPassword for juliet@localhost: \n\r.\[K\[1\/27\] L1 STARTTLS/)
    t.ok(shown.out.includes('\u001b[1m      VERDICT'), 'a table, with colours')
    const dull = await call([...two, '--password-env', 'ROMEO'], { keys: [], env: { NO_COLOR: '1' } })
    t.match(dull.out, /^ {6}VERDICT/m, 'without colours')

    const env = ['--password-env', 'ROMEO']
    const rows: [args: string[], status: number, err: RegExp, more?: Calling][] = [
      [
        [...two, ...env],
        1,
        /^stanzagate doctor: romeo@localhost: the server refuses its name or password \(not-authorized/,
        { env: { ROMEO: 'wrong' } },
      ],
      [
        [...two, '--password-env', 'ROMEO', '--password-env', 'JULIET'],
        1,
        /^stanzagate doctor: juliet@localhost: the server refuses its name or password/,
        { env: { JULIET: 'wrong' } },
      ],
      [
        [...calling, ...component, ...env, '--component-secret-env', 'ROMEO'],
        1,
        /^stanzagate doctor: component stranger\.localhost at 127\.0\.0\.1:\d+: the server ended the stream with not-authorized/,
      ],
      [[...two, ...env, '--domain', 'other'], 2, /romeo@localhost is not an account of other/],
      [[...calling, ...env], 2, /give --account twice, or once with --component/],
      [[...calling, '--account', 'romeo@localhost', ...env], 2, /the two accounts are the same/],
      [[...calling, '--account', 'Romeo@LOCALHOST', ...env], 2, /romeo@localhost and Romeo@LOCALHOST: the two acc/],
      [[...two.slice(2), ...env], 2, /doctor needs --config FILE/],
      [['-c', 'none.yaml', ...two.slice(2), ...env], 2, /^none\.yaml/],
      [[...two, ...env, '--upstream', 'other'], 2, /there is no upstream 'other' in the configuration \(main\)/],
      [[...two, ...env, '--strangers', '301'], 2, /--strangers 301: give a whole number from 1 to 300/],
      [[...two, ...env, '--patience', 'long'], 2, /--patience long: give a whole number from 1 to 600/],
      [[...two, '--password', 'secret'], 2, /never given on the command line/],
      [[...two, '--component-secret=hush'], 2, /never given on the command line/],
      [[...two, ...env], 2, /the variable ROMEO is not set/, { env: { ROMEO: '' } }],
      [[...two, ...env, ...env, ...env], 2, /give --password-env once, or once for each account/],
      [two, 2, /no password for romeo@localhost: give --password-env/],
      [two, 2, /no password was typed/, { keys: ['sec\u0003'] }],
      [['-c', config, '--account', 'romeo', ...two.slice(4), ...env], 2, /--account romeo: give a bare JID/],
      [[...two, ...env, '--component-secret-env', 'ROMEO'], 2, /belongs to --component/],
      [
        [...two, ...env, '--component', 'stranger.localhost', '--component-address', 'here'],
        2,
        /--component-address here: write HOST:PORT/,
      ],
      [[...two, ...env, '--wrong'], 2, /Unknown option '--wrong'/],
    ]
    for (const [args, status, err, more] of rows) {
      const outcome = await call(args, more)
      t.equal(outcome.status, status, `${args.slice(2).join(' ')}: ${status}`)
      t.match(outcome.err, err)
      t.notMatch(`${outcome.out}${outcome.err}`, /hush|wrong(?!')|secret(?!-)/, 'no password is told')
    }
    const help = (await call(['--help'])).out
    t.match(help, /stanzagate doctor --config FILE[\s\S]*one at a time on the same\s+accounts[\s\S]*or was interrupted/)
  })
})

t.test('Prosody with TLS and a limit of its own', async t => {
  const certificate = await writeCertificate(t.testdir({}), ['localhost'])
  const options = { certificate, requireEncryption: true, componentSecret: 'hush', stanzaSizeLimit: 100_000 }
  const server = await startProsody(options)
  t.teardown(() => server.stop())
  const plain = await examine(optionsFor(server))
  t.same(found(plain, ['L1', 'L2', 'T1']), {
    L1: 'conflict: lets nobody in without it, and stanzagate.yaml says tls.mode: none',
    L2: 'conflict: offers none on this leg: nobody can log in',
    T1: 'not run: see the reason above',
  })
  t.match(plain.failure, /^romeo@localhost: the server offers no SASL mechanism/)
  t.match(plainReport(plain), /^L1 change: prosody: c2s_require_encryption = false$/m, 'the lines of either server')
  t.match(plainReport(plain), /^L1 change: ejabberd: listen: .*starttls_required: false/m)
  t.notMatch(plainReport(plain), /not run,/)

  const secured = await examine(optionsFor(server, { target: trusting(server, certificate) }))
  t.match(found(secured, ['L1', 'L6', 'T14']), {
    L1: 'right: TLS stands, as stanzagate.yaml has it',
    L6: /^conflict: takes less .*takes 65536 bytes; announces no limit; at 131072: the server ended the stream with policy-violation/,
    T14: /^breaks/,
  })
  const doubted = await examine(optionsFor(server, { target: { ...trusting(server, certificate), ca: undefined } }))
  t.match(doubted.failure, /^cannot open a stream to upstream 'main' at 127\.0\.0\.1:\d+: TLS cannot be made/)
})

function trusting(server: Prosody | Ejabberd, { cert }: Certificate): DoctorOptions['target'] {
  return { ...target(server.address, server.port), mode: 'starttls', ca: readFileSync(cert, 'utf8') }
}

t.test('ejabberd', async t => {
  const certificate = await writeCertificate(t.testdir({}), ['localhost'])
  const server = await startEjabberd({ plain: true, certificate, componentSecret: 'hush', proxyProtocol: true })
  t.teardown(() => server.stop())
  const report = await examine(optionsFor(server))
  t.same(found(report), known.ejabberd)
  t.match(report.server, { kind: 'ejabberd', name: 'ejabberd', version: /^23\.01/ })
  t.same([report.left, report.failure, await account(server, 'romeo')], [[], undefined, []])
  const helps = report.probes.flatMap(({ id, rules }) => rules.map(({ name, mode }) => `${id} ${name} ${mode}`))
  t.same(helps, [
    'T2 subscribed-needs-request enforce',
    'T4b subscription-bare-jids enforce',
    'T6 subscription-bare-jids enforce',
    'T7b presence-type observe',
    'T13 roster-push-from-account enforce',
  ])
  t.match(plainReport(report), /^T7b breaks, .*; helps: presence-type \(now observe\)$/m)
  t.match(
    tableReport(report, 120, (_, text) => text),
    /What to change \(ejabberd\)[\s\S]*T15 .*mod_pres_counter/,
  )

  const alone = await examine(optionsFor(server, { accounts: both, component: undefined }))
  const expected = Object.entries({
    ...known.ejabberd,
    T5: known.ejabberd.T5.replace('the presence from the full JID', 'the presence from the bare JID'),
  }).filter(([id]) => withoutStranger.includes(id))
  t.same(found(alone, withoutStranger), Object.fromEntries(expected), 'two accounts and no component')
  t.same([alone.left, await account(server, 'romeo'), await account(server, 'juliet')], [[], [], []])

  const secured = await examine(optionsFor(server, { target: trusting(server, certificate) }))
  t.match(found(secured, ['L1', 'L3']), { L1: /^right/, L3: /^conflict: offers it, .*\[SCRAM-SHA-1-PLUS\]$/ })
  t.match(secured.probes.find(({ id }) => id === 'L3')?.change, [/^disable_sasl_mechanisms: .*SCRAM-SHA-1-PLUS/])

  const proxied = { ...target(server.address, server.ports.proxied ?? 0) }
  const legs: [what: string, target: DoctorOptions['target'], L5: RegExp, failure: RegExp | undefined][] = [
    ['a header as configured', { ...proxied, proxyProtocol: 'v2' }, /^right: takes it/, undefined],
    ['a header that is missing', proxied, /^conflict: takes no connection without/, /; with a PROXY header it opens$/],
    [
      'a header too many',
      { ...target(server.address, server.port), proxyProtocol: 'v1' },
      /^conflict: takes none/,
      /; without a PROXY header it opens$/,
    ],
  ]
  for (const [what, target, L5, failure] of legs) {
    const report = await examine(optionsFor(server, { target }))
    t.match(found(report, ['L5']), { L5 }, what)
    if (failure === undefined) t.equal(report.failure, undefined)
    else t.match(report.failure, failure)
  }
})

t.test('a server that says nothing, and none at all', async t => {
  const silent = createServer(socket => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const server = { address: '127.0.0.1', port, ports: { component: port } } as unknown as Prosody
  const report = await examine(optionsFor(server, { patience: 100 }))
  t.match(report.failure, /^cannot open a stream to .*: no stream features came in time$/)
  t.equal(Object.keys(report)[0], 'failure', 'what the lines refer to stands above them')
  t.same(new Set(report.probes.map(({ verdict }) => verdict)), new Set(['not run']))
  silent.close()
  const gone = await examine(optionsFor({ ...server, port: 1 }, { patience: 100 }))
  t.match(gone.failure, /at 127\.0\.0\.1:1: nothing listens there$/)
})

t.test('every probe is told in full', async t => {
  const names = rules.map(rule => rule.name)
  t.equal(new Set(probes.map(({ id }) => id)).size, probes.length, 'ids are distinct')
  for (const { id, outcomes, remedy } of probes) {
    for (const [key, { verdict, helps = [], isFine = false, change }] of Object.entries(outcomes)) {
      for (const name of helps) t.ok(names.includes(name), `${id} ${key}: ${name} is a rule`)
      if (verdict === 'right' || isFine || change !== undefined) continue
      for (const lines of Object.values(remedy)) t.not(lines.length, 0, `${id} ${key}: something is said to be done`)
    }
  }
})

t.test('SASL', async t => {
  const nonces = { 'SCRAM-SHA-1': 'fyko+d2lbbFgONRv9qkxdawL', 'SCRAM-SHA-256': 'rOprNGfwEbeRWgbNEkqO' }
  // The examples of RFC 5802 section 5 and RFC 7677 section 3.
  const examples: [keyof typeof nonces, challenge: string, answer: string, signature: string][] = [
    [
      'SCRAM-SHA-1',
      'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
      'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
      'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    ],
    [
      'SCRAM-SHA-256',
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    ],
  ]
  for (const [mechanism, challenge, answer, signature] of examples) {
    const begin = () => {
      const exchange = exchangeFor(['PLAIN', mechanism], 'user', 'pencil', nonces[mechanism])
      if (exchange === undefined) throw new Error('no exchange')
      return exchange
    }
    const exchange = begin()
    t.same([exchange.mechanism, `${exchange.first}`], [mechanism, `n,,n=user,r=${nonces[mechanism]}`])
    t.equal(`${exchange.answer(Buffer.from(challenge))}`, answer)
    t.throws(() => exchange.finish(Buffer.from('v=AAAA')), /cannot prove/, 'another signature')
    t.throws(() => exchange.finish(Buffer.from('')), /cannot prove/, 'none')
    exchange.finish(Buffer.from(signature))
    t.equal(exchange.signsOffer, false)
    const twoSteps = begin()
    twoSteps.answer(Buffer.from(challenge))
    t.equal(twoSteps.answer(Buffer.from(signature)).length, 0, 'the signature as a challenge of its own')
    twoSteps.finish(Buffer.from(''))
    const signing = begin()
    signing.answer(Buffer.from(`${challenge},h=AAAA`))
    t.equal(signing.signsOffer, true, 'XEP-0474')
    t.equal(exchange.tlsSaid, undefined)
    const telling = begin()
    telling.answer(Buffer.from(`${challenge},t=TLSv1.3`))
    t.equal(telling.tlsSaid, 'TLSv1.3', 'XEP-0515')
    for (const wrong of [
      challenge.replace('r=', 'r=x'),
      challenge.replace('4096', '0'),
      challenge.replace('4096', '99999999'),
      '',
    ])
      t.throws(() => begin().answer(Buffer.from(wrong)), /sends no SCRAM challenge|asks for \d+ iterations/, wrong)
  }
  t.equal(`${exchangeFor(['SCRAM-SHA-1'], 'a=b,c', 'x', 'r')?.first}`, 'n,,n=a=3Db=2Cc,r=r')
  t.equal(`${exchangeFor(['EXTERNAL', 'PLAIN'], 'user', 'pencil', 'r')?.first}`, '\0user\0pencil')
  t.throws(() => exchangeFor(['PLAIN'], 'user', 'pencil', 'r')?.answer(Buffer.from('more')), /more than PLAIN/)
  t.equal(exchangeFor(['SCRAM-SHA-1-PLUS', 'EXTERNAL'], 'user', 'pencil', 'r'), undefined)
})

t.test('what is offered of channel binding', async t => {
  const rows: [mechanisms: string[], types: string[] | undefined, found: string][] = [
    [['SCRAM-SHA-1'], undefined, 'none'],
    [['SCRAM-SHA-1'], [], 'none'],
    [['SCRAM-SHA-1', 'SCRAM-SHA-1-PLUS'], undefined, 'plus'],
    [['SCRAM-SHA-1-PLUS'], ['tls-exporter'], 'plus'],
    [['SCRAM-SHA-1-PLUS'], ['tls-server-end-point', 'tls-exporter'], 'plus'],
    [['SCRAM-SHA-1-PLUS'], ['tls-server-end-point'], 'endPoint'],
    [['SCRAM-SHA-1'], ['tls-exporter'], 'unequal'],
  ]
  for (const [mechanisms, types, expected] of rows) {
    const cb = 'urn:xmpp:sasl-cb:0'
    const bindings = (types ?? []).map(type => element('channel-binding', cb, { type }))
    const children = types === undefined ? [] : [element('sasl-channel-binding', cb, {}, bindings)]
    const features = element('features', 'http://etherx.jabber.org/streams', {}, children)
    t.equal(channelBinding({ mechanisms, features }).found, expected, `${mechanisms} with ${types}`)
  }
})

t.test('a stanza of a size', async t => {
  for (const size of [200, 10_000, 262_144])
    t.equal(Buffer.byteLength(write(stanzaOf(size, 'doctor-1'), { content: 'jabber:client' })), size)
})

t.test('the file of passwords', async t => {
  const folder = t.testdir({
    good: `# ours\n\na@im.example with a space \nb@im.example ${'$'}{B}\r\n`,
    bad: 'a@im.example\n',
  })
  const path = (name: string) => join(folder, name)
  t.same(
    [...fromFile(path('good'), { B: 'of b' })],
    [
      ['a@im.example', 'with a space '],
      ['b@im.example', 'of b'],
    ],
  )
  t.throws(() => fromFile(path('good'), {}), /the variable B is not set/)
  t.throws(() => fromFile(path('bad'), {}), /bad:1: write a JID, a space and its password/)
  t.throws(() => fromFile(path('none'), {}), /cannot be read \(ENOENT\)/)
})

t.test('the table of a terminal', async t => {
  const line = {
    ...{
      id: 'T1',
      title: 'a long title that has to go on below itself',
      clause: 'RFC 6121 3.1.6',
      verdict: 'breaks' as const,
    },
    ...{
      result: 'does\u001b[2J it',
      detail: undefined,
      rules: [{ name: 'presence-type', mode: 'off' }],
      change: ['one', 'two'],
    },
  }
  const server = { kind: 'other' as const, name: 'Served\u0007', version: undefined }
  const report = { upstream: 'main', domain: 'im.example', server, probes: [line], left: [], failure: undefined }
  const marked = tableReport(report, 80, (format, text) => `<${format}>${text}</${format}>`)
  t.equal(
    marked,
    [
      "im.example at upstream 'main': Served: 1 breaks",
      '',
      '<bold>      VERDICT   CLAUSE            WHAT THE SERVER DOES             HELPS</bold>',
      'T1    <red>breaks  </red>  RFC 6121 3.1.6    a long title that has to go on   presence-type',
      '      <red>        </red>                    below itself → does[2J it        (now off)',
      '',
      '<bold>What to change (Served)</bold>',
      '  T1   one',
      '       two',
      '',
      'The accounts are as they were.',
      '',
    ].join('\n'),
  )
})

interface Calling {
  readonly env?: Readonly<Record<string, string>>
  /** What is typed at each prompt of a terminal; left out: there is none. */
  readonly keys?: readonly string[]
  readonly columns?: number
}

/** Calls the command in this process, on a terminal or on pipes. */
async function call(args: readonly string[], { env = {}, keys, columns }: Calling = {}) {
  const said = { out: '', err: '' }
  const isTTY = keys !== undefined
  const typed = [...(keys ?? [])]
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => stdin }) as unknown as NodeJS.ReadStream
  const printing = (where: keyof typeof said) => ({
    isTTY,
    columns,
    write(text: string) {
      said[where] += text
      if (text.startsWith('Password for ')) stdin.push(typed.shift() ?? '')
    },
  })
  const environment = { ROMEO: 'secret', ...env }
  const status = await doctor(args, { env: environment, stdin, stdout: printing('out'), stderr: printing('err') })
  return { status, ...said }
}

const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

/** Calls it as its users do. */
async function spawned(args: readonly string[]) {
  const env = { ...process.env, ROMEO: 'secret' }
  const child = spawn(process.execPath, [cli, 'doctor', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', data => {
    out += data
  })
  child.stderr.on('data', data => {
    err += data
  })
  const [status] = await once(child, 'close')
  return { status: status as number | null, out, err }
}

function configFor(port: number): string {
  return `
listeners:
  - { kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: starttls, cert: certificate.pem, key: key.pem } }
upstreams:
  main: { address: 127.0.0.1, port: ${port}, tls: { mode: none } }
routes:
  - { domain: localhost, upstream: main }
`
}
