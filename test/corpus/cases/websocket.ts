/** XMPP over WebSocket (RFC 7395) and the frames below it (RFC 6455). */
import { answered, body, bytes, type Case, closed, delivered, ends, good, maker, status, websocket } from '../case.ts'
import { opcodes, upgrade } from '../websocket.ts'

const ws = maker('websocket', { wires: websocket })

const requests: readonly (readonly [name: string, request: string, code: number])[] = [
  ['no subprotocol', upgrade({ 'Sec-WebSocket-Protocol': undefined }), 400],
  ['an empty subprotocol', upgrade({ 'Sec-WebSocket-Protocol': '' }), 400],
  ['another subprotocol', upgrade({ 'Sec-WebSocket-Protocol': 'chat' }), 400],
  ['the subprotocol in capitals', upgrade({ 'Sec-WebSocket-Protocol': 'XMPP' }), 400],
  ['a longer subprotocol', upgrade({ 'Sec-WebSocket-Protocol': 'xmpp2' }), 400],
  ['two wrong subprotocols', upgrade({ 'Sec-WebSocket-Protocol': 'xmpp-framing, mqtt' }), 400],
  ['an origin that is not listed', upgrade({ Origin: 'https://evil.example' }), 403],
  ['an origin that ends like one that is', upgrade({ Origin: 'https://notgood.example' }), 403],
  ['an origin that begins like one that is', upgrade({ Origin: 'https://good.example.evil.example' }), 403],
  ['an origin over plain HTTP', upgrade({ Origin: 'http://good.example' }), 403],
  ['an origin with a port', upgrade({ Origin: 'https://good.example:8443' }), 403],
  ['the origin null', upgrade({ Origin: 'null' }), 403],
  ['another path', upgrade({}, 'GET /elsewhere HTTP/1.1'), 404],
  ['a path in front', upgrade({}, 'GET /x/xmpp-websocket HTTP/1.1'), 404],
  ['the path of BOSH', upgrade({}, 'GET /http-bind HTTP/1.1'), 404],
  ['a path with dots', upgrade({}, 'GET /../xmpp-websocket HTTP/1.1'), 404],
  ['no upgrade', upgrade({ Upgrade: undefined, Connection: 'close' }), 426],
  ['another upgrade', upgrade({ Upgrade: 'h2c' }), 400],
  ['no key', upgrade({ 'Sec-WebSocket-Key': undefined }), 400],
  ['a key that is none', upgrade({ 'Sec-WebSocket-Key': 'x' }), 400],
  ['version 8', upgrade({ 'Sec-WebSocket-Version': '7' }), 400],
  ['no version', upgrade({ 'Sec-WebSocket-Version': undefined }), 400],
  ['a header too long', upgrade({ 'X-Long': 'x'.repeat(100_000) }), 431],
  ['a POST', upgrade({}, 'POST /xmpp-websocket HTTP/1.1'), 404],
  ['a method that is none', upgrade({}, 'STANZA /xmpp-websocket HTTP/1.1'), 400],
  ['two lengths', upgrade({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }), 400],
  ['a line feed in a header', upgrade({ 'X-A': 'b\n c: d' }), 400],
  ['no HTTP', 'HELO localhost\r\n\r\n', 400],
  ['a stream header', "<stream:stream to='localhost'>\r\n\r\n", 400],
  ['passes: the subprotocol', upgrade(), 101],
  ['passes: the subprotocol among others', upgrade({ 'Sec-WebSocket-Protocol': 'mqtt, xmpp' }), 101],
  ['passes: a listed origin', upgrade({ Origin: 'https://good.example' }), 101],
  ['passes: a query', upgrade({}, 'GET /xmpp-websocket?x=1 HTTP/1.1'), 101],
  [
    'passes: an offer to compress',
    upgrade({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }),
    101,
  ],
]

const frames: readonly (readonly [name: string, raw: Case['steps'], code: number])[] = [
  ['a binary message', [{ frame: { opcode: opcodes.binary, payload: body('smuggled') } }], 1003],
  ['an empty binary message', [{ frame: { opcode: opcodes.binary } }], 1003],
  [
    'a binary message in fragments',
    [
      { frame: { opcode: opcodes.binary, fin: false, payload: '<message' } },
      { frame: { opcode: opcodes.continuation, payload: '/>' } },
    ],
    1003,
  ],
  ['a frame without a mask', [{ frame: { masked: false, payload: body('smuggled') } }], 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    opcode => [`a frame of opcode ${opcode}`, [{ frame: { opcode, payload: body('smuggled') } }], 1002] as const,
  ),
  ...[1, 2, 4, 7].map(
    rsv => [`a frame with reserved bits ${rsv}`, [{ frame: { rsv, payload: body('smuggled') } }], 1002] as const,
  ),
  ['a continuation of nothing', [{ frame: { opcode: opcodes.continuation, payload: body('smuggled') } }], 1002],
  [
    'a message in a message',
    [{ frame: { fin: false, payload: '<message' } }, { frame: { payload: body('smuggled') } }],
    1002,
  ],
  ['a ping in fragments', [{ frame: { opcode: opcodes.ping, fin: false, payload: 'x' } }], 1002],
  ['a pong too long', [{ frame: { opcode: opcodes.pong, payload: 'x'.repeat(126) } }], 1002],
  ['a close too long', [{ frame: { opcode: opcodes.close, payload: bytes([3, 232], 'x'.repeat(126)) } }], 1002],
  ['a close of one byte', [{ frame: { opcode: opcodes.close, payload: bytes([3]) } }], 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map(
    code =>
      [
        `a close of code ${code}`,
        [{ frame: { opcode: opcodes.close, payload: bytes([code >> 8, code & 255]) } }],
        1002,
      ] as const,
  ),
  [
    'a close with a reason that is no UTF-8',
    [{ frame: { opcode: opcodes.close, payload: bytes([3, 232, 0xff]) } }],
    1007,
  ],
]

const messages: readonly (readonly [name: string, content: string])[] = [
  ['no bytes', ''],
  ['a space', ' '],
  ['a line feed', '\n'],
  ['a space first', ` ${body('smuggled')}`],
  ['a line feed first', `\n${body('smuggled')}`],
  ['a byte order mark first', `\ufeff${body('smuggled')}`],
  ['text', 'smuggled'],
  ['text first', `smuggled${body('smuggled')}`],
  ['JSON', '{}'],
  ['two elements', `${body('smuggled')}${body('smuggled')}`],
  ['two elements with white space between', `${body('smuggled')} ${body('smuggled')}`],
  ['a close element and a stanza', `<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>${body('smuggled')}`],
  [
    'an open element and a stanza',
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>${body('smuggled')}`,
  ],
]

const first: Case[] = [
  ['a stanza', body('smuggled')],
  ['an authentication', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"],
  ['an unknown element', "<x xmlns='urn:example'/>"],
].map(([name, step]) =>
  ws(`${name} before the open element`, step as string, ends('bad-format', 'not-authorized', 'invalid-namespace'), {
    at: 'header',
  }),
)

const twins: Case[] = [
  ws('passes: a message in two fragments', { cut: 40, of: body('x') }, delivered(body('x'))),
  ws('passes: a message in fragments of a byte', { cut: 1, of: body('\u{1f600}') }, delivered(body('\u{1f600}'))),
  ws(
    'passes: an empty first fragment',
    [{ frame: { fin: false } }, { frame: { opcode: opcodes.continuation, payload: body('x') } }],
    delivered(body('x')),
  ),
  ws(
    'passes: an empty last fragment',
    [{ frame: { fin: false, payload: body('x') } }, { frame: { opcode: opcodes.continuation } }],
    delivered(body('x')),
  ),
  ws(
    'passes: a ping between fragments',
    [
      { frame: { fin: false, payload: body('x').slice(0, 30) } },
      { frame: { opcode: opcodes.ping, payload: 'p' } },
      { await: 'pong' },
      { frame: { opcode: opcodes.continuation, payload: body('x').slice(30) } },
    ],
    delivered(body('x')),
  ),
  ws(
    'passes: a ping',
    [{ frame: { opcode: opcodes.ping, payload: 'p' } }, { await: 'pong' }],
    answered('iq(', 'id=mark-{id}'),
  ),
  ws('passes: a pong that nobody asked for', { frame: { opcode: opcodes.pong } }, answered('iq(', 'id=mark-{id}')),
  ws('passes: white space behind a stanza', `${body('x')}\n `, delivered(body('x'))),
  ws(
    'passes: a stanza in its own declarations',
    body('x').replace('<message', "<message xmlns:stream='http://etherx.jabber.org/streams'"),
    delivered(body('x')),
  ),
  ws('passes: a message of 65,536 bytes', body('x'.repeat(65_536)), delivered(body('x'.repeat(65_536)))),
  ws('a close element', [good(), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"], closed(1000)),
  ws(
    'a close element in two tags',
    [good(), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'></close>"],
    closed(1000),
  ),
  ws('a close frame', [good(), { frame: { opcode: opcodes.close, payload: bytes([3, 232]) } }], closed(1000)),
  ws('a close frame without a code', [good(), { frame: { opcode: opcodes.close } }], closed(1005)),
  ws('the end of the connection', [good(), { hang: 'half' }], closed(1006)),
]

export const websocketCases: readonly Case[] = [
  ...requests.map(([name, request, code]) =>
    ws(`a request with ${name}`.replace('a request with passes:', 'passes: a request with'), request, status(code), {
      at: 'port',
    }),
  ),
  ...frames.map(([name, steps, code]) => ws(name, [good(), ...steps], closed(code))),
  ...messages.map(([name, content]) =>
    ws(`a message of ${name}`, [good(), content], ends('not-well-formed', 'bad-format')),
  ),
  ...first,
  ...twins,
]
