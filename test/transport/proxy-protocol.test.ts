// The PROXY protocol as bytes, CIDRs, X-Forwarded-For, and the rounds of pings: all that needs no socket.
import t from 'tap'
import { type PingTarget, WebsocketPinger } from '../../src/listener/websocket-pinger.ts'
import { type Addresses, addressesOf, endpoint, plainAddress } from '../../src/transport/address.ts'
import { beginsHeader, decodeProxyHeader, encodeProxyHeader } from '../../src/transport/proxy-protocol.ts'
import { forwardedFor, isCidr, trustOf } from '../../src/transport/trusted-networks.ts'

const signature = '0d0a0d0a000d0a515549540a'
const v2 = (rest: string) => Buffer.from(`${signature}${rest.replaceAll(' ', '')}`, 'hex')
const v1 = (line: string) => Buffer.from(`${line}\r\n`, 'latin1')
const ends = (from: string, fromPort: number, to: string, toPort: number): Addresses => ({
  source: { address: from, port: fromPort },
  destination: { address: to, port: toPort },
})

const four = ends('192.0.2.7', 56324, '198.51.100.1', 5222)
const six = ends('2001:db8::7', 56324, '2001:db8::1', 5223)
const sixBlock = '20010db8000000000000000000000007 20010db8000000000000000000000001 dc04 1467'
const longest = `PROXY UNKNOWN ${'f'.repeat(107 - 'PROXY UNKNOWN \r\n'.length)}`

/** What a receiver must read from them. */
const good: [string, Buffer, Addresses | undefined][] = [
  ['v1 TCP4', v1('PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222'), four],
  ['v1 TCP6', v1('PROXY TCP6 2001:db8::7 2001:db8::1 56324 5223'), six],
  ['v1 TCP6 in full', v1('PROXY TCP6 2001:0DB8:0:0:0:0:0:7 2001:db8:0:0:0:0:0:1 56324 5223'), six],
  ['v1 mapped', v1('PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 56324 5222'), four],
  [
    'v1 one mapped',
    v1('PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 1 65535'),
    ends('2001:db8::7', 1, '198.51.100.1', 65535),
  ],
  ['v1 port 0', v1('PROXY TCP4 192.0.2.7 198.51.100.1 0 0'), ends('192.0.2.7', 0, '198.51.100.1', 0)],
  ['v1 UNKNOWN', v1('PROXY UNKNOWN'), undefined],
  ['v1 UNKNOWN with addresses', v1('PROXY UNKNOWN 192.0.2.7 198.51.100.1 56324 5222'), undefined],
  ['v1 of 107 bytes', v1(longest), undefined],
  ['v2 TCP4', v2('21 11 000c c0000207 c6336401 dc04 1466'), four],
  ['v2 TCP6', v2(`21 21 0024 ${sixBlock}`), six],
  ['v2 mapped', v2(`21 21 0024 ${'0'.repeat(20)}ffffc0000207 ${'0'.repeat(20)}ffffc6336401 dc04 1466`), four],
  ['v2 with TLVs', v2('21 11 0013 c0000207 c6336401 dc04 1466 04 0004 00000000'), four],
  ['v2 with 4 KB of TLVs', v2(`21 21 1024 ${sixBlock} ${'00'.repeat(4096)}`), six],
  ['v2 Unix', v2(`21 31 00d8 ${'61'.repeat(216)}`), undefined],
  ['v2 unspecified', v2('21 00 0000'), undefined],
  ['v2 LOCAL', v2('20 00 0000'), undefined],
  ['v2 LOCAL with addresses', v2('20 11 000c c0000207 c6336401 dc04 1466'), undefined],
  ['v2 LOCAL of an unknown family', v2('20 ff 0003 010203'), undefined],
]

t.test('headers: whole, byte by byte, and with more behind them', async t => {
  for (const [name, bytes, addresses] of good) {
    const expected = { decoded: 'header', addresses, length: bytes.length }
    t.strictSame(decodeProxyHeader(bytes), expected, name)
    for (const more of ['<', 'PROXY TCP4', '\r\n\r\n', '\x16\x03\x01']) {
      t.strictSame(
        decodeProxyHeader(Buffer.concat([bytes, Buffer.from(more, 'latin1')])),
        expected,
        `${name}, then more`,
      )
    }
    const early = [...bytes.keys()].filter(end => decodeProxyHeader(bytes.subarray(0, end)).decoded !== 'more')
    t.strictSame(early, [], `${name}: nothing is decided before its last byte`)
  }
})

t.test('what is no header, and what is a bad one', async t => {
  const bad: [string, Buffer][] = [
    ['bare line feed', Buffer.from(`PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n${'x'.repeat(107)}`)],
    ['too long', v1(`${longest}f`)],
    ['endless', Buffer.from(`PROXY UNKNOWN ${'f'.repeat(107)}`)],
    ['empty', v1('PROXY ')],
    ['lower case', v1('PROXY tcp4 192.0.2.7 198.51.100.1 1 2')],
    ['UDP', v1('PROXY UDP4 192.0.2.7 198.51.100.1 1 2')],
    ['UNKNOWNS', v1('PROXY UNKNOWNS')],
    ['two spaces', v1('PROXY TCP4  192.0.2.7 198.51.100.1 1 2')],
    ['space at the end', v1('PROXY TCP4 192.0.2.7 198.51.100.1 1 2 ')],
    ['port missing', v1('PROXY TCP4 192.0.2.7 198.51.100.1 1')],
    ['port too high', v1('PROXY TCP4 192.0.2.7 198.51.100.1 65536 2')],
    ['port with a zero', v1('PROXY TCP4 192.0.2.7 198.51.100.1 1 02')],
    ['port with a sign', v1('PROXY TCP4 192.0.2.7 198.51.100.1 +1 2')],
    ['address with a zero', v1('PROXY TCP4 192.0.02.7 198.51.100.1 1 2')],
    ['three parts', v1('PROXY TCP4 192.0.2 198.51.100.1 1 2')],
    ['family and address', v1('PROXY TCP4 2001:db8::7 2001:db8::1 1 2')],
    ['address and family', v1('PROXY TCP6 192.0.2.7 198.51.100.1 1 2')],
    ['zone', v1('PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2')],
    ['name', v1('PROXY TCP4 client.example 198.51.100.1 1 2')],
    ['v1 in v2', v2('11 11 000c c0000207 c6336401 dc04 1466')],
    ['v2 command', v2('22 11 000c c0000207 c6336401 dc04 1466')],
    ['v2 datagrams', v2('21 12 000c c0000207 c6336401 dc04 1466')],
    ['v2 family', v2('21 41 000c c0000207 c6336401 dc04 1466')],
    ['v2 too short for TCP4', v2('21 11 000b c0000207 c6336401 dc04 14')],
    ['v2 too short for TCP6', v2('21 21 000c c0000207 c6336401 dc04 1466')],
    ['v2 too short for Unix', v2('21 31 000c c0000207 c6336401 dc04 1466')],
    ['v2 too long', v2('21 11 ffff')],
    ['v2 LOCAL too long', v2('20 00 ffff')],
  ]
  for (const [name, bytes] of bad) t.strictSame(decodeProxyHeader(bytes), { decoded: 'malformed' }, name)
  t.strictSame(decodeProxyHeader(v2('31')), { decoded: 'malformed' }, 'a wrong version is told at once')
  const none = [
    '<',
    ' ',
    '\n',
    '\r\n<',
    '\r\n\r\n<',
    'P<',
    'PROXY<',
    'proxy ',
    'POST / HTTP/1.1',
    'PUT',
    '\x16\x03\x01',
  ]
  for (const text of none) {
    const bytes = Buffer.from(text, 'latin1')
    t.strictSame(decodeProxyHeader(bytes), { decoded: 'none' }, JSON.stringify(text))
    t.equal(beginsHeader(bytes), 'no', JSON.stringify(text))
  }
  for (const text of ['', 'P', 'PROXY', '\r', '\r\n\r\n\0\r\nQUIT'])
    t.equal(beginsHeader(Buffer.from(text)), 'maybe', text)
  for (const text of ['PROXY ', '\r\n\r\n\0\r\nQUIT\n', 'PROXY <'])
    t.equal(beginsHeader(Buffer.from(text)), 'yes', text)
})

t.test('headers are written as they are read', async t => {
  const mixed = ends('2001:db8::7', 0, '192.0.2.1', 65535)
  const written: [Addresses | undefined, string, Buffer][] = [
    [four, 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222', v2('21 11 000c c0000207 c6336401 dc04 1466')],
    [six, 'PROXY TCP6 2001:db8::7 2001:db8::1 56324 5223', v2(`21 21 0024 ${sixBlock}`)],
    [
      mixed,
      'PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 0 65535',
      v2(`21 21 0024 20010db8000000000000000000000007 ${'0'.repeat(20)}ffffc0000201 0000 ffff`),
    ],
    [ends('::', 1, '::1', 2), 'PROXY TCP6 :: ::1 1 2', v2(`21 21 0024 ${'0'.repeat(32)} ${'0'.repeat(31)}1 0001 0002`)],
    [
      ends('1:2:3:4:5:6:7:8', 1, 'fe80::', 2),
      'PROXY TCP6 1:2:3:4:5:6:7:8 fe80:: 1 2',
      v2(`21 21 0024 00010002000300040005000600070008 fe80${'0'.repeat(28)} 0001 0002`),
    ],
    [undefined, 'PROXY UNKNOWN', v2('20 00 0000')],
  ]
  for (const [addresses, line, binary] of written) {
    t.strictSame(encodeProxyHeader('v1', addresses), v1(line), line)
    t.strictSame(encodeProxyHeader('v2', addresses), binary, line)
    for (const version of ['v1', 'v2'] as const) {
      const bytes = encodeProxyHeader(version, addresses)
      t.strictSame(
        decodeProxyHeader(bytes),
        { decoded: 'header', addresses, length: bytes.length },
        `${version} ${line}`,
      )
    }
  }
})

t.test('addresses have one spelling', async t => {
  const spelled: [string, string | undefined][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['0:0:0:0:0:FFFF:C000:0207', '192.0.2.7'],
    ['2001:DB8:0::7', '2001:db8::7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.7%eth0', undefined],
    ['client.example', undefined],
    ['', undefined],
    ['unknown', undefined],
  ]
  for (const [text, expected] of spelled) t.equal(plainAddress(text), expected, text)
  t.equal(endpoint('192.0.2.7', undefined), undefined)
  t.equal(addressesOf({ remoteAddress: undefined } as never), undefined, 'a closed socket')
})

t.test('CIDRs', async t => {
  const matches: [string, string[], string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['11.0.0.0', '9.255.255.255', '::1', '']],
    ['192.0.2.7', ['192.0.2.7', '::ffff:c000:207'], ['192.0.2.6', '192.0.2.8']],
    ['192.0.2.7/32', ['192.0.2.7'], ['192.0.2.6']],
    ['192.0.2.4/30', ['192.0.2.4', '192.0.2.7'], ['192.0.2.3', '192.0.2.8']],
    ['0.0.0.0/0', ['203.0.113.1', '::ffff:203.0.113.1'], ['2001:db8::1']],
    ['2001:db8::/32', ['2001:db8::', '2001:0DB8:FFFF::1'], ['2001:db9::', '10.0.0.1']],
    ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['127.0.0.1', '::2']],
    ['::/0', ['2001:db8::1'], ['192.0.2.1', '::ffff:192.0.2.1']],
    ['fe80::/10', ['fe80::1%eth0'], ['fec0::1']],
    ['::ffff:10.0.0.0/104', ['10.9.9.9', '::ffff:10.9.9.9'], ['11.0.0.0']],
    ['::ffff:10.0.0.1', ['10.0.0.1'], ['10.0.0.2']],
  ]
  for (const [cidr, inside, outside] of matches) {
    const trusts = trustOf([cidr])
    t.ok(isCidr(cidr), cidr)
    for (const address of inside) t.ok(trusts(address), `${address} is in ${cidr}`)
    for (const address of outside) t.notOk(trusts(address), `${address} is not in ${cidr}`)
  }
  t.notOk(trustOf([])('127.0.0.1'), 'none trusted')
  t.ok(trustOf(['10.0.0.0/8', '::1'])('::1'), 'the second of two')
  const bad = [
    ...['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0', '10.0.0/8'],
    ...['::1/129', '::1/1.5', 'fe80::1%eth0/64', '[::1]', '::ffff:10.0.0.0/8', 'proxy.example', '', '/8', '*', 'all'],
  ]
  for (const cidr of bad) {
    t.notOk(isCidr(cidr), cidr)
    t.throws(() => trustOf([cidr]), { message: `'${cidr}' is no CIDR` })
  }
})

t.test('X-Forwarded-For: the last hop from the right that is not trusted', async t => {
  const trusts = trustOf(['10.0.0.0/8', '2001:db8:a::/48'])
  const headers: [string | undefined, string, string][] = [
    ['192.0.2.7', '10.0.0.1', '192.0.2.7'],
    ['192.0.2.7', '203.0.113.9', '203.0.113.9'],
    ['203.0.113.1, 192.0.2.7', '10.0.0.1', '192.0.2.7'],
    ['203.0.113.1,192.0.2.7 , 10.0.0.2', '10.0.0.1', '192.0.2.7'],
    ['10.0.0.3, 10.0.0.2', '10.0.0.1', '10.0.0.3'],
    ['192.0.2.7, 203.0.113.5, 10.0.0.2', '10.0.0.1', '203.0.113.5'],
    [undefined, '10.0.0.1', '10.0.0.1'],
    ['', '10.0.0.1', '10.0.0.1'],
    ['192.0.2.7, ', '10.0.0.1', '10.0.0.1'],
    ['192.0.2.7, unknown', '10.0.0.1', '10.0.0.1'],
    ['192.0.2.7, _hidden, 10.0.0.2', '10.0.0.1', '10.0.0.2'],
    ['192.0.2.7:4711', '10.0.0.1', '192.0.2.7'],
    ['2001:DB8::7', '10.0.0.1', '2001:db8::7'],
    ['[2001:db8::7]:4711', '10.0.0.1', '2001:db8::7'],
    ['[2001:db8::7]', '10.0.0.1', '2001:db8::7'],
    ['::ffff:192.0.2.7', '10.0.0.1', '192.0.2.7'],
    ['192.0.2.7', '2001:db8:a::1', '192.0.2.7'],
  ]
  for (const [header, peer, expected] of headers)
    t.equal(forwardedFor(header, peer, trusts), expected, `${header} from ${peer}`)
  t.equal(forwardedFor('192.0.2.7', '10.0.0.1', trustOf([])), '10.0.0.1', 'nobody is trusted')
})

t.test('pings: two without a sign of life end a socket', async t => {
  const pinger = new WebsocketPinger()
  const said: string[] = []
  const make = (name: string) => {
    const socket = {
      received: 0,
      paused: false,
      ping: () => said.push(`ping ${name}`),
      abort: () => said.push(`end ${name}`),
    }
    pinger.add(socket as PingTarget)
    return socket
  }
  const round = () => {
    said.length = 0
    pinger.round()
    return said.join(', ')
  }
  const answers = make('a')
  const silent = make('s')
  t.equal(round(), 'ping a, ping s')
  answers.received += 2
  t.equal(round(), 'ping a, ping s', 'one unanswered ping may have been lost in a tunnel')
  answers.received += 2
  t.equal(round(), 'ping a, end s')
  pinger.remove(silent as PingTarget)
  t.equal(round(), 'ping a', 'the second unanswered ping is out')
  answers.paused = true
  t.strictSame([round(), round(), round()], Array(3).fill('ping a'), 'what is not read cannot be heard')
  answers.paused = false
  t.strictSame([round(), round(), round()], ['ping a', 'ping a', 'end a'], 'its silence counts from then on')
})
