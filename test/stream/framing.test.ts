import t from 'tap'
import { makeFraming, type Wire } from '../../src/stream/framing.ts'
import { other, type Side, type StreamItem, streamErrors } from '../../src/stream/item.ts'
import { element } from '../../src/xml/element.ts'
import { cuts, header, limits, line, pieces } from '../xml/reading.ts'

const streams = 'http://etherx.jabber.org/streams'
const framingNs = 'urn:ietf:params:xml:ns:xmpp-framing'
const parties: readonly Side[] = ['client', 'upstream']

function say(item: StreamItem): string {
  if (item.item === 'open') return `open ${[...item.header].map(([key, value]) => `${key}=${value}`).join(' ')}`.trim()
  if (item.item === 'element') return line(item.element)
  return item.item === 'error' ? `error ${item.condition}` : item.item
}

function read(wire: Wire, from: Side, parts: readonly Buffer[]): string[] {
  const framing = makeFraming(wire, from, limits)
  const said: string[] = []
  for (const part of parts) {
    framing.push(part)
    for (let item = framing.next(); item !== undefined; item = framing.next()) {
      const words = say(item)
      if (words !== 'whitespace' || said.at(-1) !== words) said.push(words)
    }
  }
  return said
}

/** Bytes of a TCP stream, what the client's side and the upstream's make of it; one list when they agree. */
type Stream = readonly [name: string, text: string, fromClient: readonly string[], fromUpstream?: readonly string[]]

const named = `<stream:stream xmlns='jabber:client' xmlns:stream='${streams}' to='im.example' version='1.0' xml:lang='en'`
const streamsRead: readonly Stream[] = [
  ['a header', `${named}>`, ['open to=im.example version=1.0 xml:lang=en']],
  ['a header after a declaration', `<?xml version='1.0'?>\n${header}`, ['open']],
  ['another prefix', `<s:stream xmlns='jabber:client' xmlns:s='${streams}'><presence/>`, ['open', 'presence']],
  [
    'no prefix, the stanza says what it is',
    `<stream xmlns='${streams}'><presence xmlns='jabber:client'/>`,
    ['open', 'presence'],
  ],
  [
    'no content namespace',
    `<s:stream xmlns:s='${streams}'><presence xmlns='jabber:client'/><iq/>`,
    ['open', 'presence', '{}iq'],
  ],
  ['a second header', `${header}<presence/>${header}<presence/>`, ['open', 'presence', 'error bad-format']],
  [
    'the same deeper down',
    `${header}<iq><stream:stream/></iq>`,
    ['open', 'iq[{http://etherx.jabber.org/streams}stream]'],
  ],
  ['an empty content namespace', `<s:stream xmlns='' xmlns:s='${streams}'>`, ['open']],
  ['a server stream', `<stream:stream xmlns='jabber:server' xmlns:stream='${streams}'>`, ['error invalid-namespace']],
  ['another content namespace', `<stream:stream xmlns='urn:x' xmlns:stream='${streams}'>`, ['error invalid-namespace']],
  [
    'nothing after a bad header',
    `<stream:stream xmlns='jabber:server' xmlns:stream='${streams}'><presence/>`,
    ['error invalid-namespace'],
  ],
  [
    'another stream namespace',
    "<stream:stream xmlns='jabber:client' xmlns:stream='urn:x'>",
    ['error invalid-namespace'],
  ],
  ['no namespace', '<stream>', ['error invalid-namespace']],
  ['a stanza for a header', "<presence xmlns='jabber:client'/>", ['error invalid-namespace']],
  [
    'another element for a header',
    `<stream:features xmlns='jabber:client' xmlns:stream='${streams}'>`,
    ['error bad-format'],
  ],
  ['HTTP', 'GET / HTTP/1.1\r\n\r\n', ['error not-well-formed']],
  [
    'stanzas, white space, the end',
    `${header}<presence/> \n<iq/></stream:stream>`,
    ['open', 'presence', 'whitespace', 'iq', 'close'],
  ],
  [
    'a prefixed stanza',
    `${header}<c:presence xmlns:c='jabber:client'/><iq/>`,
    ['open', 'error bad-namespace-prefix'],
    ['open', 'presence', 'iq'],
  ],
  [
    'a prefix inside a stanza',
    `${header}<presence><c:show xmlns:c='jabber:client'/></presence>`,
    ['open', 'presence[show]'],
  ],
  ['a prefix of another namespace', `${header}<s:r xmlns:s='urn:xmpp:sm:3'/>`, ['open', '{urn:xmpp:sm:3}r']],
  [
    'a stream error',
    `${header}<stream:error><reset xmlns='u'/></stream:error>`,
    ['open', `{${streams}}error[{u}reset]`],
  ],
  // The test list of the rules' item 9: what XMPP's XML has not.
  ['a comment', `${header}<a><!-- --></a>`, ['open', 'error restricted-xml']],
  ['a processing instruction', `${header}<?x?>`, ['open', 'error restricted-xml']],
  ['a DOCTYPE', '<!DOCTYPE', ['error restricted-xml']],
  ['an entity', `${header}<a>&foo;</a>`, ['open', 'error restricted-xml']],
  ['a reference to NUL', `${header}<a>&#0;</a>`, ['open', 'error not-well-formed']],
  ['a predefined entity', `${header}<a>&amp;</a>`, ['open', 'a["&"]']],
  ['CDATA', `${header}<a><![CDATA[<]]></a>`, ['open', 'a["<"]']],
  ['a BOM', `\ufeff${header}`, ['error not-well-formed']],
  ['an undeclared prefix', `${header}<x:a/>`, ['open', 'error not-well-formed']],
  ['an attribute twice', `${header}<a b='' b=''/>`, ['open', 'error not-well-formed']],
  ['a declaration in mid-stream', `${header}<?xml version='1.0'?>`, ['open', 'error restricted-xml']],
  ['standalone no', "<?xml version='1.0' standalone='no'?>", ['error restricted-xml']],
  ['another encoding', "<?xml version='1.0' encoding='latin1'?>", ['error unsupported-encoding']],
  ['text between stanzas', `${header}<a/>x<b/>`, ['open', 'a', 'error bad-format']],
  ['too deep', `${header}${'<a>'.repeat(limits.depth + 1)}`, ['open', 'error policy-violation']],
]

t.test('a TCP stream, whole, in sevens and byte by byte', t => {
  for (const [name, text, fromClient, fromUpstream = fromClient] of streamsRead) {
    for (const cut of cuts) {
      t.strictSame(read('tcp', 'client', pieces(Buffer.from(text), cut)), fromClient, `${name}, from a client, ${cut}`)
      t.strictSame(
        read('tcp', 'upstream', pieces(Buffer.from(text), cut)),
        fromUpstream,
        `${name}, from upstream, ${cut}`,
      )
    }
  }
  const badBytes = [Buffer.from(`${header}<a>`), Buffer.from('c0bc', 'hex'), Buffer.from('</a>')]
  for (const parts of [badBytes, [Buffer.concat(badBytes)]])
    t.strictSame(read('tcp', 'client', parts), ['open', 'error unsupported-encoding'], 'overlong UTF-8')
  const wide = Buffer.from(header, 'utf16le')
  t.strictSame(read('tcp', 'client', [wide]), ['error not-well-formed'], 'UTF-16')
  t.end()
})

/** One WebSocket message and what is read of it. */
const messages: readonly Stream[] = [
  ['an open', `<open xmlns='${framingNs}' to='im.example' version='1.0'/>`, ['open to=im.example version=1.0']],
  ['a prefixed open', `<f:open xmlns:f='${framingNs}'/>`, ['open']],
  ['an open and its end tag', `<open xmlns="${framingNs}"></open>`, ['open']],
  ['a close', `<close xmlns='${framingNs}'/>`, ['close']],
  ['a stanza', "<presence xmlns='jabber:client'/>", ['presence']],
  ['a stanza after a declaration', "<?xml version='1.0'?><presence xmlns='jabber:client'/>", ['presence']],
  ['a stanza after a declaration and a line', "<?xml version='1.0'?>\n<presence xmlns='jabber:client'/>", ['presence']],
  ['a stanza and a line end', "<presence xmlns='jabber:client'/>\r\n", ['presence']],
  ['a stanza that leans on a header', '<presence/>', ['{}presence']],
  [
    'a stream error',
    `<stream:error xmlns:stream='${streams}'><reset xmlns='u'/></stream:error>`,
    [`{${streams}}error[{u}reset]`],
  ],
  ['a prefixed stanza', "<c:iq xmlns:c='jabber:client'/>", ['error bad-namespace-prefix'], ['iq']],
  ['two elements', "<a xmlns='u'/><b xmlns='u'/>", ['error not-well-formed']],
  ['two elements apart', "<a xmlns='u'/> <b xmlns='u'/>", ['error not-well-formed']],
  ['two elements, the second unfinished', "<a xmlns='u'/>\n<b", ['error not-well-formed']],
  ['half an element', "<a xmlns='u'>", ['error not-well-formed']],
  ['a space first', " <a xmlns='u'/>", ['error not-well-formed']],
  ['a BOM first', "\ufeff<a xmlns='u'/>", ['error not-well-formed']],
  ['white space', ' ', ['error not-well-formed']],
  ['nothing', '', ['error not-well-formed']],
  ['an open of another namespace', "<open xmlns='jabber:client'/>", ['error invalid-namespace']],
  ['an open of none', '<open/>', ['error invalid-namespace']],
  ['a close of another namespace', "<close xmlns='jabber:client'/>", ['error invalid-namespace']],
  ['a header of TCP, ended', `<stream:stream xmlns:stream='${streams}'/>`, ['error invalid-namespace']],
  ['a header of TCP', header, ['error not-well-formed']],
  ['an end of TCP', '</stream:stream>', ['error not-well-formed']],
  ['a comment', "<a xmlns='u'/><!-- -->", ['error restricted-xml']],
  ['a DOCTYPE', "<!DOCTYPE a><a xmlns='u'/>", ['error restricted-xml']],
  ['too deep', '<a>'.repeat(limits.depth + 1), ['error policy-violation']],
]

t.test('a WebSocket message', t => {
  for (const [name, text, fromClient, fromUpstream = fromClient] of messages) {
    t.strictSame(read('websocket', 'client', [Buffer.from(text)]), fromClient, `${name}, from a client`)
    t.strictSame(read('websocket', 'upstream', [Buffer.from(text)]), fromUpstream, `${name}, from upstream`)
  }
  const cut = Buffer.concat([Buffer.from("<a xmlns='u'>"), Buffer.from('e282', 'hex')])
  t.strictSame(read('websocket', 'client', [cut]), ['error unsupported-encoding'], 'half a character')
  t.end()
})

t.test('messages stand alone, and nothing is read after an error', t => {
  const all = [`<open xmlns='${framingNs}'/>`, "<a xmlns='u'/>", "<b xmlns='u'>", "<c xmlns='u'/>"].map(text =>
    Buffer.from(text),
  )
  t.strictSame(read('websocket', 'client', all), ['open', '{u}a', 'error not-well-formed'])
  const framing = makeFraming('websocket', 'client', limits)
  for (const message of all) framing.push(message)
  t.equal(framing.next()?.item, 'open')
  t.equal(framing.takeRest().toString(), "<a xmlns='u'/><b xmlns='u'><c xmlns='u'/>")
  t.equal(framing.next(), undefined)
  framing.restart()
  framing.readInBulk()
  framing.push(Buffer.from(`<open xmlns='${framingNs}'/>`))
  t.equal(framing.next()?.item, 'open', 'a restart is a new open')
  t.end()
})

t.test('a restart reads what came behind the last item as a new stream', t => {
  const text = Buffer.from(`${header}<auth/><?xml version='1.0'?>${header}<iq/></stream:stream>`)
  for (const cut of cuts) {
    const framing = makeFraming('tcp', 'client', limits)
    const said: string[] = []
    for (const piece of pieces(text, cut)) {
      framing.push(piece)
      for (let item = framing.next(); item !== undefined; item = framing.next()) {
        said.push(say(item))
        if (said.at(-1) === 'auth') framing.restart()
      }
    }
    t.strictSame(said, ['open', 'auth', 'open', 'iq', 'close'], cut)
  }
  t.end()
})

t.test('what came behind <starttls/> is given away whole and never read', t => {
  const hello = Buffer.from('16030100c40100003cff3e00<presence/>', 'latin1')
  const tls = Buffer.concat([Buffer.from([0x16, 3, 1, 0, 0xa5, 1, 0xc3]), hello])
  for (const rest of [tls, Buffer.from('<presence/>'), Buffer.from(' '), Buffer.from('\ufeff€'), Buffer.alloc(0)]) {
    const framing = makeFraming('tcp', 'client', limits)
    framing.push(Buffer.concat([Buffer.from(`${header}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`), rest]))
    t.equal(framing.next()?.item, 'open')
    t.equal(framing.next()?.item, 'element')
    t.strictSame(framing.takeRest(), rest)
    t.equal(framing.next(), undefined)
    framing.restart()
    framing.push(Buffer.from(header))
    t.equal(framing.next()?.item, 'open', 'the stream inside TLS begins again')
  }
  t.end()
})

t.test('settled, many items are read from one push', t => {
  const framing = makeFraming('tcp', 'client', limits)
  framing.push(Buffer.from(`${header}<bind/>`))
  t.equal(framing.next()?.item, 'open')
  framing.readInBulk()
  framing.push(Buffer.from('<a/> <b c=">"/>'))
  const said = []
  for (let item = framing.next(); item !== undefined; item = framing.next()) said.push(say(item))
  t.strictSame(said, ['bind', 'a', 'whitespace', 'b(c=>)'])
  t.end()
})

t.test('changed limits hold from then on', t => {
  for (const [wire, first, small] of [
    ['tcp', header, '<a><b/></a>'],
    ['websocket', `<open xmlns='${framingNs}'/>`, "<a xmlns='u'><b/></a>"],
  ] as const) {
    const framing = makeFraming(wire, 'client', { ...limits, depth: 1 })
    framing.push(Buffer.from(first))
    t.equal(framing.next()?.item, 'open')
    framing.limit({ ...limits, depth: 2 })
    framing.push(Buffer.from(small))
    t.equal(framing.next()?.item, 'element', `${wire}: wider`)
    framing.limit({ ...limits, depth: 1 })
    framing.push(Buffer.from(small))
    t.match(framing.next(), { item: 'error', condition: 'policy-violation' }, `${wire}: narrower`)
  }
  t.end()
})

const attributes = new Map([
  ['to', 'a"<b'],
  ['id', '1'],
  ['version', '1.0'],
  ['{urn:x}left', 'out'],
  ['xml:lang', 'en'],
])
const spoken: readonly (readonly [name: string, item: StreamItem, tcp: string, websocket: string])[] = [
  [
    'a header',
    { item: 'open', header: attributes },
    `<?xml version="1.0"?><stream:stream xmlns="jabber:client" xmlns:stream="${streams}" id="1" to="a&#34;&lt;b" version="1.0" xml:lang="en">`,
    `<open xmlns="${framingNs}" id="1" to="a&#34;&lt;b" version="1.0" xml:lang="en"/>`,
  ],
  ['white space', { item: 'whitespace' }, ' ', ''],
  ['the end', { item: 'close' }, '</stream:stream>', `<close xmlns="${framingNs}"/>`],
  [
    'a stanza',
    { item: 'element', element: element('presence', 'jabber:client', { to: 'a@b' }, [element('c', 'urn:x')]) },
    '<presence to="a@b"><c xmlns="urn:x"/></presence>',
    '<presence xmlns="jabber:client" to="a@b"><c xmlns="urn:x"/></presence>',
  ],
  ['an element of no namespace', { item: 'element', element: element('a', '') }, '<a xmlns=""/>', '<a/>'],
  [
    'features',
    { item: 'element', element: element('features', streams, {}, [element('bind', 'urn:b'), element('x', streams)]) },
    '<stream:features><bind xmlns="urn:b"/><stream:x/></stream:features>',
    `<stream:features xmlns:stream="${streams}"><bind xmlns="urn:b"/><stream:x/></stream:features>`,
  ],
  [
    'an error with a text',
    { item: 'error', condition: 'reset', text: 'a < b' },
    '<stream:error><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">a &lt; b</text></stream:error>',
    `<stream:error xmlns:stream="${streams}"><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">a &lt; b</text></stream:error>`,
  ],
]

t.test('what is written', t => {
  for (const [name, item, tcp, websocket] of spoken) {
    t.equal(makeFraming('tcp', 'client', limits).write(item), tcp, `${name}, on TCP`)
    t.equal(makeFraming('websocket', 'client', limits).write(item), websocket, `${name}, on WebSocket`)
  }
  t.end()
})

t.test('single quotes are for servers: gloox, in clients, reads them wrongly', t => {
  const item = { item: 'element', element: element('a', 'jabber:client', { b: '"/><c/>"' }) } as const
  t.equal(makeFraming('tcp', 'upstream', limits).write(item), `<a b='"/>&lt;c/>"'/>`)
  t.equal(makeFraming('tcp', 'client', limits).write(item), `<a b="&#34;/>&lt;c/>&#34;"/>`)
  t.equal(makeFraming('websocket', 'client', limits).write(item), `<a xmlns="jabber:client" b="&#34;/>&lt;c/>&#34;"/>`)
  t.end()
})

t.test('what one side writes the other reads', t => {
  for (const party of parties) {
    for (const [name, item] of spoken) {
      if (item.item === 'whitespace') continue
      const expected = item.item === 'open' ? 'open id=1 to=a"<b version=1.0 xml:lang=en' : undefined
      const said = (wire: Wire, before: string) =>
        read(wire, other[party], [Buffer.from(before + makeFraming(wire, party, limits).write(item))])
      const onTcp = said('tcp', item.item === 'open' ? '' : header).at(-1)
      const onWebsocket = said('websocket', '').at(-1)
      t.equal(onWebsocket, onTcp, `${name}, the same on both wires`)
      if (expected !== undefined) t.equal(onTcp, expected)
    }
  }
  for (const condition of streamErrors) {
    const text = makeFraming('tcp', 'client', limits).write({ item: 'error', condition })
    const expected = `{${streams}}error[{urn:ietf:params:xml:ns:xmpp-streams}${condition}]`
    t.strictSame(read('tcp', 'upstream', [Buffer.from(header + text)]), ['open', expected])
  }
  t.end()
})
