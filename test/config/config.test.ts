// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how the file spells a variable
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, linkSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { generate } from 'selfsigned'
import t from 'tap'
import {
  type ConfigurationSchema,
  configurationDocument,
  reloadedSections,
  type SchemaPart,
} from '../../src/config/configuration-document.ts'
import { formats } from '../../src/config/formats.ts'
import { defaultLimits } from '../../src/config/limits.ts'
import { ConfigError, formatProblem, formatWarning } from '../../src/config/problem.ts'
import { readConfig } from '../../src/config/read.ts'
import { Settings } from '../../src/config/settings.ts'
import { type Config, logAreas, logLevels } from '../../src/config/types.ts'
import { rules } from '../../src/rules/all-rules.ts'
import { modes } from '../../src/rules/mode.ts'

const ruleNames = ['roster-set-one-item', 'subscribed-needs-request']
const made = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
const other = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
const locked = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', passphrase: 's3cret' })
const short = generateKeyPairSync('rsa', {
  modulusLength: 512,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
const weak = await generate([{ name: 'commonName', value: 'localhost' }], { keyPair: short, algorithm: 'sha256' })

const folder = t.testdir({
  'cert.pem': made.cert,
  'key.pem': made.private,
  'both.pem': `${made.private}\n${made.cert}\n`,
  'chain.pem': `Bag Attributes\n${made.cert}\n${other.cert}`,
  'reversed.pem': `${other.cert}\n${made.cert}`,
  'other-key.pem': other.private,
  'locked-key.pem': locked.private,
  'weak.pem': weak.cert,
  'weak-key.pem': weak.private,
  'damaged.pem': made.cert.replace(/[A-Za-z0-9+/]{20}/, 'AAAA'),
  'damaged-second.pem': `${made.cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
  'damaged-key.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  'words.txt': 's3cret',
  folder: {},
})
const file = join(folder, 'stanzagate.yaml')

function read(text: string | Uint8Array): Config {
  writeFileSync(file, text)
  return readConfig(file, ruleNames)
}

/** One line for each problem, with the file's own name. */
function problemsOf(path: string): string[] {
  try {
    readConfig(path, ruleNames)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(problem => formatProblem(problem).replaceAll(`${folder}/`, ''))
  }
}

interface Parts {
  readonly listener?: string
  readonly admin?: string
  readonly upstream?: string
  readonly route?: string
  readonly rules?: string
  readonly more?: string
}

/** A good file with one part replaced; listeners are on line 2, admin 3, upstreams 5, routes 7, rules 8, more 9. */
function fileWith(parts: Parts): string {
  return `listeners:
  - ${parts.listener ?? '{ kind: tcp, address: 127.0.0.1, port: 5222, tls: { mode: starttls, cert: cert.pem, key: key.pem } }'}
admin: ${parts.admin ?? '{ address: 127.0.0.1, port: 9464 }'}
upstreams:
  ${parts.upstream ?? 'main: { address: 127.0.0.1, port: 15222, tls: { mode: none } }'}
routes:
  - ${parts.route ?? '{ domain: localhost, upstream: main }'}
rules: ${parts.rules ?? '{ default: enforce }'}
${parts.more ?? ''}
`
}

const tcp = (rest: string, address = '127.0.0.1') => ({
  listener: `{ kind: tcp, address: '${address}', port: 5222, ${rest} }`,
})
const pem = (cert: string, key: string) => tcp(`tls: { mode: direct, cert: ${cert}, key: ${key} }`)
const websocket = (rest: string, address = '127.0.0.1') => ({
  listener: `{ kind: websocket, address: '${address}', port: 5280${rest} }`,
})
const upstream = (rest: string, address = '127.0.0.1') => ({
  upstream: `main: { address: '${address}', port: 15222, ${rest} }`,
})
const members = (list: string, rest = '') => ({
  upstream: `main: { ${rest}members: [${list}], tls: { mode: none } }`,
})
const route = (domain: string) => ({ route: `{ domain: '${domain}', upstream: main }` })
const trusted = (domain: string) => ({ rules: `{ trustedDomains: ['${domain}'] }` })

const notAddress = 'is not an IP address or a host name, without brackets and port; write for example 127.0.0.1'
const notDomain =
  "is not an XMPP domain, '*.' and a domain for those below it, or '*' alone for any; write for example im.example"
const notGateway = 'is not an XMPP domain; write for example gateway.example'
const notName = "is not a name of at most 64 ASCII letters, digits, '.', '_' and '-'; write for example main"
const notPath = "is not a path of '/', letters, digits, '.', '_', '~' and '-'; write for example /xmpp-websocket"
const notOrigin =
  'is not an origin as browsers send it, in lower case, without path and default port; write for example https://chat.example'
const notCidr = 'is not an IP address or a block of them in CIDR notation; write for example 10.0.0.0/8'
const notUrl =
  'is not a wss URL without user and fragment (ws on loopback alone); write for example wss://chat.example/xmpp-websocket'
const notMode = 'is not one of enforce, repair, observe, off'
const clear = (address: string) => `to '${address}' passwords would travel in clear text`
const wayOut = "write 'plaintext: allowed' beside the address if only a trusted network leads there"
const refused = (address: string) =>
  `'none' is for loopback alone, and ${clear(address)}; set mode to starttls or direct, use 127.0.0.1, or ${wayOut}`
/** There is no such way to an upstream. */
const refusedThere = (address: string) =>
  `'none' is for loopback alone, and ${clear(address)}; set mode to starttls or direct, or use 127.0.0.1`
const howToHash = 'add key: ${NAME}, and set that variable to what nobody can guess (openssl rand -hex 32)'
const pathHint = 'a relative path starts at the folder of the configuration file'

t.test('values that are refused', t => {
  const bad: [Parts, ...string[]][] = [
    // Listeners
    [
      tcp('tls: { mode: startls, cert: cert.pem, key: key.pem }'),
      "2: listeners[0].tls.mode: 'startls' is not one of starttls, direct, none; did you mean 'starttls'?",
    ],
    [
      tcp('tls: { mode: false }'),
      "2: listeners[0].tls.mode: false is not one of starttls, direct, none; did you mean 'none'?",
    ],
    [
      tcp('tls: { mode: tls13 }'),
      "2: listeners[0].tls.mode: 'tls13' is not one of starttls, direct, none; write one of them",
    ],
    [
      tcp('tls: { cert: cert.pem, key: key.pem }'),
      '2: listeners[0].tls.mode: is missing; write one of starttls, direct, none',
    ],
    [
      tcp('tls: { mode: direct }'),
      "2: listeners[0].tls.cert: is missing; add the path of a PEM file with the certificate chain, the server's own first",
      "2: listeners[0].tls.key: is missing; add the path of a PEM file with the certificate's private key",
    ],
    [
      tcp('tls: { mode: none, cert: cert.pem }'),
      "2: listeners[0].tls.cert: has no meaning with mode 'none'; remove it, or set mode to starttls or direct",
    ],
    [tcp('name: a'), '2: listeners[0].tls: is missing; add a map with mode (starttls or direct), cert and key'],
    [
      tcp('tls: { mode: none }, path: /x'),
      '2: listeners[0].path: is not a known key; known are kind, name, address, port, tls, plaintext, proxyProtocol',
    ],
    [tcp('tls: { mode: none }', '0.0.0.0'), `2: listeners[0].tls.mode: ${refused('0.0.0.0')}`],
    [tcp('tls: { mode: none }', '::'), `2: listeners[0].tls.mode: ${refused('::')}`],
    [tcp('tls: { mode: none }', 'localhost.example'), `2: listeners[0].tls.mode: ${refused('localhost.example')}`],
    [tcp('tls: { mode: none }', '[::1]'), `2: listeners[0].address: '[::1]' ${notAddress}`],
    [tcp('tls: { mode: none }', '127.0.0.1:5222'), `2: listeners[0].address: '127.0.0.1:5222' ${notAddress}`],
    [tcp('tls: { mode: none }', '127.1'), `2: listeners[0].address: '127.1' ${notAddress}`],
    [tcp('tls: { mode: none }', '*'), `2: listeners[0].address: '*' ${notAddress}`],
    [tcp('tls: { mode: none }', ''), `2: listeners[0].address: '' ${notAddress}`],
    [tcp("tls: { mode: none }, name: 'a b'"), `2: listeners[0].name: 'a b' ${notName}`],
    [
      tcp('tls: { mode: none }, name: 5'),
      `2: listeners[0].name: 5 ${notName.replace('for example main', 'it in quotes')}`,
    ],
    [
      websocket('', '192.0.2.1'),
      `2: listeners[0].tls: is missing, and ${clear('192.0.2.1')}; add tls: { cert, key }, use 127.0.0.1, or ${wayOut}`,
    ],
    [
      websocket(', tls: { mode: direct, cert: cert.pem, key: key.pem }'),
      '2: listeners[0].tls.mode: is not a known key; known are cert, key',
    ],
    [websocket(', tls:'), '2: listeners[0].tls: has no value; write a map with cert and key, or remove it'],
    [websocket(', path: xmpp'), `2: listeners[0].path: 'xmpp' ${notPath}`],
    [websocket(", path: '/x?y'"), `2: listeners[0].path: '/x?y' ${notPath}`],
    [
      websocket(', origins: []'),
      '2: listeners[0].origins: is empty; write a list with at least one origin (without a list any may connect)',
    ],
    [websocket(", origins: ['*']"), `2: listeners[0].origins[0]: '*' ${notOrigin}`],
    [websocket(', origins: [https://a.example/]'), `2: listeners[0].origins[0]: 'https://a.example/' ${notOrigin}`],
    [
      websocket(', origins: [https://a.example:443]'),
      `2: listeners[0].origins[0]: 'https://a.example:443' ${notOrigin}`,
    ],
    [websocket(', origins: [https://A.example]'), `2: listeners[0].origins[0]: 'https://A.example' ${notOrigin}`],
    [
      websocket(', origins: https://a.example'),
      "2: listeners[0].origins: a text is not a list with at least one origin (without a list any may connect); write '- ' entries",
    ],
    [
      { listener: '{ kind: bosh, address: 127.0.0.1 }' },
      "2: listeners[0].kind: 'bosh' is not one of tcp, websocket; write one of them",
    ],
    [{ listener: '{ address: 127.0.0.1 }' }, '2: listeners[0].kind: is missing; write one of tcp, websocket'],
    [
      { listener: 'text' },
      "2: listeners[0]: a text is not a map with kind, address and port; write 'key: value' entries",
    ],
    [{ listener: '' }, '2: listeners[0]: has no value; write a map with kind, address and port, or remove it'],
    [
      { listener: '{ kind: websocket, adress: 127.0.0.1, prot: 5280 }' },
      '2: listeners[0].address: is missing; add an IP address or a host name, without brackets and port',
      '2: listeners[0].port: is missing; add a port number from 0 to 65535',
      "2: listeners[0].adress: is not a known key; did you mean 'address'?",
      "2: listeners[0].prot: is not a known key; did you mean 'port'?",
    ],
    [
      { listener: '{ kind: websocket, address: 127.0.0.1, port: "5280" }' },
      "2: listeners[0].port: '5280' is not a port number from 0 to 65535; write it without quotes",
    ],
    [
      { listener: "{ kind: websocket, address: 127.0.0.1, port: '${PORT_SET}' }" },
      "2: listeners[0].port: '${PORT_SET}' is not a port number from 0 to 65535; write the number: a variable stands for a text alone",
    ],
    [
      { listener: '{ kind: websocket, address: 127.0.0.1, port: 65536 }' },
      '2: listeners[0].port: 65536 is not a port number from 0 to 65535; write for example 5222',
    ],
    [
      { listener: '{ kind: websocket, address: 127.0.0.1, port: .nan }' },
      '2: listeners[0].port: NaN is not a port number from 0 to 65535; write for example 5222',
    ],
    [
      { listener: '{ kind: websocket, address: [], port: {} }' },
      `2: listeners[0].address: a list ${notAddress}`,
      '2: listeners[0].port: a map is not a port number from 0 to 65535; write for example 5222',
    ],
    [
      tcp('tls: { mode: none }, plaintext: yes', '0.0.0.0'),
      "2: listeners[0].plaintext: 'yes' is not the word 'allowed'; write for example allowed",
    ],
    [
      upstream('tls: { mode: none }, plaintext: allowed', '192.0.2.1'),
      `5: upstreams.main.tls.mode: ${refusedThere('192.0.2.1')}`,
      '5: upstreams.main.plaintext: is not a known key; known are address, port, members, balance, proxyProtocol, tls',
    ],
    // Proxies and host-meta
    [
      websocket(", proxyProtocol: { trusted: [10.0.0.1, '[::1]'] }, forwardedFor: { trusted: [10.0.0.1/40] }"),
      `2: listeners[0].proxyProtocol.trusted[1]: '[::1]' ${notCidr}`,
      `2: listeners[0].forwardedFor.trusted[0]: '10.0.0.1/40' ${notCidr}`,
    ],
    [
      websocket(', proxyProtocol: { trusted: [] }, forwardedFor: { trusted: }'),
      '2: listeners[0].proxyProtocol.trusted: is empty; write a list with at least one address or block of addresses of proxies',
      '2: listeners[0].forwardedFor.trusted: has no value; write a list with at least one address or block of addresses of proxies, or remove it',
    ],
    [
      websocket(', proxyProtocol: true, forwardedFor: {}'),
      "2: listeners[0].proxyProtocol: true is not a map with trusted, a list of proxies; write 'key: value' entries",
      '2: listeners[0].forwardedFor.trusted: is missing; add a list with at least one address or block of addresses of proxies',
    ],
    [
      tcp('tls: { mode: none }, forwardedFor: { trusted: [10.0.0.1] }'),
      '2: listeners[0].forwardedFor: is not a known key; known are kind, name, address, port, tls, plaintext, proxyProtocol',
    ],
    [
      { upstream: "main: { address: '127.0.0.1', port: 5222, tls: { mode: none } }" },
      "5: upstreams.main.port: 5222 at the same address is the gate's own listeners[0].port: it would dial itself; name the port that the server listens on",
    ],
    [
      upstream('tls: { mode: none }, proxyProtocol: v3'),
      "5: upstreams.main.proxyProtocol: 'v3' is not one of v1, v2; did you mean 'v1'?",
    ],
    [
      upstream('tls: { mode: none }, proxyProtocol: 2'),
      "5: upstreams.main.proxyProtocol: 2 is not one of v1, v2; did you mean 'v2'?",
    ],
    [websocket(', url: http://chat.example/ws'), `2: listeners[0].url: 'http://chat.example/ws' ${notUrl}`],
    [
      websocket(', url: wss://chat.example/, path: /.well-known/host-meta'),
      "2: listeners[0].path: '/.well-known/host-meta' is where host-meta is served, because there is a url; choose another path, or remove url",
    ],
    // Two of a kind
    [
      {
        listener:
          '{ kind: websocket, name: a, address: "::1", port: 1 }\n  - { kind: websocket, name: a, address: "0:0::1", port: 1 }',
      },
      "3: listeners[1].name: 'a' is the name of listeners[0] already; give each its own name",
      '3: listeners[1].port: 1 at the same address is the port of listeners[0] already; give each its own port or address',
    ],
    [
      { listener: '{ kind: websocket, address: localhost, port: 9464 }', admin: '{ address: LocalHost, port: 9464 }' },
      '3: admin.port: 9464 at the same address is the port of listeners[0] already; give each its own port or address',
    ],
    [
      { route: '{ domain: im.example, upstream: main }\n  - { domain: IM.example., upstream: main }' },
      "8: routes[1].domain: 'IM.example.' is routed by routes[0] already; keep one of the two",
    ],
    [
      { route: '{ domain: bücher.example, upstream: main }\n  - { domain: xn--bcher-kva.example, upstream: main }' },
      "8: routes[1].domain: 'xn--bcher-kva.example' is routed by routes[0] already; keep one of the two",
    ],
    [
      { route: "{ domain: '*', upstream: main }\n  - { domain: '*', upstream: main }" },
      "8: routes[1].domain: '*' is routed by routes[0] already; keep one of the two",
    ],
    // Certificates
    [pem('none.pem', 'key.pem'), `2: listeners[0].tls.cert: 'none.pem' does not exist; correct the path; ${pathHint}`],
    [
      pem('cert.pem/x', 'folder'),
      `2: listeners[0].tls.cert: 'cert.pem/x' does not exist; correct the path; ${pathHint}`,
      `2: listeners[0].tls.key: 'folder' is a folder; name a file; ${pathHint}`,
    ],
    [
      pem('"a\\0b"', 'key.pem'),
      `2: listeners[0].tls.cert: 'a\\u0000b' cannot be read (ERR_INVALID_ARG_VALUE); name a readable file; ${pathHint}`,
    ],
    [
      pem('words.txt', 'words.txt'),
      "2: listeners[0].tls.cert: 'words.txt' is not PEM: it has no BEGIN CERTIFICATE line with its END; name a PEM file",
      "2: listeners[0].tls.key: 'words.txt' is not PEM: it has no BEGIN PRIVATE KEY line; name a PEM file",
    ],
    [
      pem('key.pem', 'cert.pem'),
      "2: listeners[0].tls.cert: 'key.pem' holds a key and no certificate; name the certificate; the key has its own place",
      "2: listeners[0].tls.key: 'cert.pem' holds a certificate and no key; name the key; the certificate has its own place",
    ],
    [
      pem('damaged.pem', 'damaged-key.pem'),
      "2: listeners[0].tls.cert: 'damaged.pem' cannot be read: certificate 1 in it is damaged; copy it again",
      "2: listeners[0].tls.key: 'damaged-key.pem' cannot be read: the key in it is damaged; copy it again",
    ],
    [
      pem('damaged-second.pem', 'locked-key.pem'),
      "2: listeners[0].tls.cert: 'damaged-second.pem' cannot be read: certificate 2 in it is damaged; copy it again",
      "2: listeners[0].tls.key: 'locked-key.pem' is encrypted; write it without a passphrase: openssl pkey -in key.pem -out plain.pem",
    ],
    [
      pem('cert.pem', 'other-key.pem'),
      "2: listeners[0].tls.key: 'other-key.pem' is not the key of the first certificate in cert; use the key that it was made with, and put the server's own certificate first",
    ],
    [
      pem('reversed.pem', 'key.pem'),
      "2: listeners[0].tls.key: 'key.pem' is not the key of the first certificate in cert; use the key that it was made with, and put the server's own certificate first",
    ],
    [
      websocket(', tls: { cert: cert.pem, key: other-key.pem }'),
      "2: listeners[0].tls.key: 'other-key.pem' is not the key of the first certificate in cert; use the key that it was made with, and put the server's own certificate first",
    ],
    [
      pem('weak.pem', 'weak-key.pem'),
      "2: listeners[0].tls.key: 'weak-key.pem' is refused by OpenSSL (SSL routines::ee key too small); have key and certificate made again",
    ],
    // Admin
    [
      { admin: '{ address: 0.0.0.0, port: 9464 }' },
      "3: admin.token: is missing, and '0.0.0.0' is not loopback: anybody could read what is there; add a token, or use 127.0.0.1",
    ],
    [
      { admin: '' },
      '3: admin: has no value; write a map with the address and the port of metrics and health, or remove it',
    ],
    [
      { admin: '{ address: 127.0.0.1, port: 1, token:s3cret }' },
      "3: admin.token...: lacks a space behind the ':'; write 'token: ...'",
    ],
    // Upstreams
    [upstream('tls: { mode: none }', '192.0.2.1'), `5: upstreams.main.tls.mode: ${refusedThere('192.0.2.1')}`],
    [upstream('tls: { mode: none }', 'xmpp.example'), `5: upstreams.main.tls.mode: ${refusedThere('xmpp.example')}`],
    [
      upstream('tls: { mode: none, ca: cert.pem }'),
      "5: upstreams.main.tls.ca: has no meaning with mode 'none'; remove it, or set mode to starttls or direct",
    ],
    [
      upstream('tls: { mode: none, mod: direct }'),
      "5: upstreams.main.tls.mod: is not a known key; did you mean 'mode'?",
    ],
    [
      upstream('tls: { mode: direct, ca: key.pem }'),
      "5: upstreams.main.tls.ca: 'key.pem' holds a key and no certificate; name the certificate; the key has its own place",
    ],
    [
      upstream("tls: { mode: direct, ca: '' }"),
      "5: upstreams.main.tls.ca: '' is not the path of a PEM file with the authorities to trust; write for example ca.pem",
    ],
    [
      upstream('tls: { mode: direct, servername: 192.0.2.1 }'),
      "5: upstreams.main.tls.servername: '192.0.2.1' is not the host name that the upstream's certificate bears; write for example xmpp.example",
    ],
    [
      { upstream: 'main: { address: 127.0.0.1, port: 0, tls: { mode: none } }' },
      '5: upstreams.main.port: 0 is not a port number from 1 to 65535; write for example 5222',
    ],
    [
      { upstream: 'main: { tls: { mode: none } }' },
      '5: upstreams.main.address: is missing; add an IP address or a host name, without brackets and port, or members',
      '5: upstreams.main.port: is missing; add a port number from 1 to 65535, or members',
    ],
    [
      members('{ address: 127.0.0.1, port: 5269 }', 'address: 127.0.0.1, port: 5269, '),
      '5: upstreams.main.address: is there beside members, which have their own; remove it, or make it a member',
      '5: upstreams.main.port: is there beside members, which have their own; remove it, or make it a member',
    ],
    [
      members(''),
      '5: upstreams.main.members: is empty; write a list with at least one server: maps with address and port',
    ],
    [
      members('{ address: 127.0.0.1, weight: 1001 }, { address: 192.0.2.1, port: 5222, name: a }'),
      '5: upstreams.main.members[0].port: is missing; add a port number from 1 to 65535',
      '5: upstreams.main.members[0].weight: 1001 is not a whole number from 0 to 1000; write for example 1',
      '5: upstreams.main.members[1].name: is not a known key; known are address, port, weight',
      `5: upstreams.main.tls.mode: ${refusedThere('192.0.2.1')}`,
    ],
    [
      members('{ address: 127.0.0.1, port: 5269 }, { address: 127.0.0.1, port: 5269, weight: 2 }'),
      '5: upstreams.main.members[1]: is the same server as another member; remove one of them, or give one a greater weight',
    ],
    [
      members('{ address: 127.0.0.1, port: 5269, weight: 0 }, { address: 127.0.0.1, port: 5270, weight: 0 }'),
      '5: upstreams.main.members[0].weight: is 0, as that of all members: nobody would be served; give one of them a weight',
    ],
    [
      members('{ address: 127.0.0.1, port: 5222 }'),
      "5: upstreams.main.members[0].port: 5222 at the same address is the gate's own listeners[0].port: it would dial itself; name the port that the server listens on",
    ],
    [
      upstream('tls: { mode: none }, balance: hash-account', '127.0.0.1'),
      '5: upstreams.main.balance: is there, and there are no members to choose from; add members, or remove it',
    ],
    [
      members('{ address: 127.0.0.1, port: 5269 }', 'balance: random, '),
      "5: upstreams.main.balance: 'random' is not one of least-sessions, round-robin, hash-account, hash-address; write one of them",
    ],
    [{ upstream: '{}' }, '4: upstreams: is empty; write a map with at least one upstream, by name'],
    [
      {
        upstream:
          'main: { address: 127.0.0.1, port: 1, tls: { mode: none } }\n  a b: { address: 127.0.0.1, port: 1, tls: { mode: none } }',
      },
      `6: upstreams.a...: the key ${notName}`,
    ],
    // Routes
    [
      { route: '{ domain: a.example }' },
      '7: routes[0].upstream: is missing; add the name of an upstream, or redirect, or closed',
    ],
    [
      { route: "{ domain: a.example, upstream: main, closed: 'It is over.' }" },
      '7: routes[0].closed: is there beside upstream; keep one of the two',
    ],
    [
      { route: "{ domain: a.example, redirect: b.example, closed: 'It is over.' }" },
      '7: routes[0].closed: is there beside redirect; keep one of the two',
    ],
    ...['b.example:0', 'b.example:65536', '::1', '[::1', '[::1]:x', 'b example', ''].map(
      (host): [Parts, ...string[]] => [
        { route: `{ domain: a.example, redirect: '${host}' }` },
        `7: routes[0].redirect: '${host}' is not a host name or an IP address, with or without a port; write for example xmpp.example:5222`,
      ],
    ),
    [
      { route: '{ domain: localhost, upstream: mian }' },
      "7: routes[0].upstream: 'mian' is not the name of an upstream; did you mean 'main'?",
    ],
    [
      { route: '{ domain: localhost, upstream: constructor }' },
      "7: routes[0].upstream: 'constructor' is not the name of an upstream; upstreams are main",
    ],
    ...[
      '*.*.example',
      'a@im.example',
      'im.example/x',
      'im example',
      'localhost:5222',
      'im..example',
      '',
      '-im.example',
      '1.2.3',
      '[1::2::3]',
      '[im]',
      'a'.repeat(64),
      'xn--.example',
    ].map((domain): [Parts, string] => [
      route(domain),
      `7: routes[0].domain: '${domain.length > 60 ? `${domain.slice(0, 60)}...` : domain}' ${notDomain}`,
    ]),
    // Rules and log
    [trusted('*'), `8: rules.trustedDomains[0]: '*' ${notGateway}`],
    [trusted('a@gateway.example'), `8: rules.trustedDomains[0]: 'a@gateway.example' ${notGateway}`],
    [{ rules: '{ default: false }' }, `8: rules.default: false ${notMode}; did you mean 'off'?`],
    [{ rules: '{ default: true }' }, `8: rules.default: true ${notMode}; did you mean 'enforce'?`],
    [{ rules: '{ default: Observe }' }, `8: rules.default: 'Observe' ${notMode}; did you mean 'observe'?`],
    [{ rules: '{ roster-set-one-item: warn }' }, `8: rules.roster-set-one-item: 'warn' ${notMode}; write one of them`],
    [
      { rules: '{ roster-set-one-itme: off }' },
      "8: rules.roster-set-one-itme: is not a known key; did you mean 'roster-set-one-item'?",
    ],
    [
      { rules: '{ subscribed-needs-request: repair }' },
      "8: rules.subscribed-needs-request: 'repair' is not one of enforce, observe, off; write one of them",
    ],
    [
      { rules: '{ foreignFrom: rewrite }' },
      "8: rules.foreignFrom: 'rewrite' is not one of override, close; write one of them",
    ],
    [{ rules: '{ trustedDomain: [a] }' }, "8: rules.trustedDomain: is not a known key; did you mean 'trustedDomains'?"],
    [
      { rules: '{ __proto__: off }' },
      '8: rules.__proto__: is not a known key; known are default, foreignFrom, unknown, trustedDomains, roster-set-one-item, subscribed-needs-request',
    ],
    [
      { more: 'log: { level: verbose }' },
      "9: log.level: 'verbose' is not one of silent, fatal, error, warn, info, debug, trace; write one of them",
    ],
    [{ more: 'log: { areas: { rule: debug } }' }, "9: log.areas.rule: is not a known key; did you mean 'rules'?"],
    [
      { more: 'log: { areas: { rules: loud } }' },
      "9: log.areas.rules: 'loud' is not one of silent, fatal, error, warn, info, debug, trace; write one of them",
    ],
    [
      { more: 'log: { areas: debug }' },
      "9: log.areas: a text is not a map with levels by area; write 'key: value' entries",
    ],
    [{ more: 'logs: { level: info }' }, "9: logs: is not a known key; did you mean 'log'?"],
    [{ more: 'admin: { address: 127.0.0.1, port: 9465 }' }, '9: admin: stands on line 3 already; keep one of the two'],
    [{ more: '<<: { log: { level: info } }' }, '9: <<: merge keys are not supported; write the keys out'],
    // The audit
    [{ more: 'audit: { all: true }' }, '9: audit.file: is missing; add the path of a file to append to'],
    [
      { more: 'audit: audit.jsonl' },
      "9: audit: a text is not a map with the file that decisions are written to; write 'key: value' entries",
    ],
    [{ more: 'audit: { file: folder }' }, "9: audit.file: 'folder' is a folder; name a file in it"],
    [
      { more: 'audit: { file: none/audit.jsonl }' },
      "9: audit.file: 'none/audit.jsonl' has no folder to be in; make it, or correct the path",
    ],
    [
      { more: 'audit: { file: cert.pem/audit.jsonl }' },
      "9: audit.file: 'cert.pem/audit.jsonl' has no folder to be in; make it, or correct the path",
    ],
    [{ more: 'audit: { file: pipe }' }, "9: audit.file: 'pipe' is no file; name a file"],
    [
      { more: 'audit: { file: ./stanzagate.yaml }' },
      "9: audit.file: './stanzagate.yaml' is this configuration file; name a file of its own",
    ],
    [
      { more: 'audit: { file: cert.pem }' },
      "9: audit.file: 'cert.pem' is the file of listeners[0].tls.cert; name a file of its own",
    ],
    [
      { more: 'audit: { file: linked.pem }' },
      "9: audit.file: 'linked.pem' is the file of listeners[0].tls.key; name a file of its own",
    ],
    [
      { ...upstream('tls: { mode: direct, ca: chain.pem }'), more: 'audit: { file: chain.pem }' },
      "9: audit.file: 'chain.pem' is the file of upstreams.main.tls.ca; name a file of its own",
    ],
    [
      { more: 'limits: { overload: { heapPercent: 70, closeAtHeapPercent: 69 } }' },
      '9: limits.overload.closeAtHeapPercent: 69 is below heapPercent, which is 70: sessions would be closed before any is refused; write at least 70, or a lower heapPercent',
    ],
    [
      { more: 'limits: { overload: { closeAtHeapPercent: 79 } }' },
      '9: limits.overload.closeAtHeapPercent: 79 is below heapPercent, which is 80: sessions would be closed before any is refused; write at least 80, or a lower heapPercent',
    ],
    [
      { more: 'limits: { overload: { heapPercent: 91 } }' },
      '9: limits.overload.heapPercent: 91 is above closeAtHeapPercent, which is 90: sessions would be closed before any is refused; write at most 90, or set closeAtHeapPercent to at least 91',
    ],
    [
      { more: 'audit: { file: audit.jsonl, hash: true }' },
      `9: audit.key: is missing, and without it there are no hashes; ${howToHash}`,
    ],
    [
      { more: 'audit: { file: audit.jsonl, key: 0123456789abcdef }' },
      '9: audit.key: is there, and hash is not true: JIDs would be written as they are; add hash: true, or remove key',
    ],
    [
      { more: 'audit: { file: audit.jsonl, hash: true, key: short }' },
      '9: audit.key: what is written is not a key of at least 16 characters; write for example ${STANZAGATE_AUDIT_KEY}',
    ],
    [
      { more: "audit: { file: audit.jsonl, hash: true, key: '${NOT_SET}' }" },
      '9: audit.key: stands for the variable NOT_SET, which is not set; set NOT_SET in the environment',
    ],
    [
      { more: 'audit: { file: audit.jsonl, hash: yes }' },
      "9: audit.hash: 'yes' is not true or false; write for example true",
    ],
    [{ more: 'audit: { file: audit.jsonl, hsah: true }' }, "9: audit.hsah: is not a known key; did you mean 'hash'?"],
    // The store
    [
      { more: 'store: off' },
      "9: store: 'off' is not a map with the store's folder or URL, or none; write for example none",
    ],
    [
      { more: 'store: { path: 7 }' },
      '9: store.path: 7 is not the path of a folder that the gate may write; write it in quotes',
    ],
    [{ more: 'store: { days: 0 }' }, '9: store.days: 0 is not a number of days, from 1 to 3650; write for example 90'],
    [
      { more: 'store: { hash: s3cret }' },
      '9: store.hash: what is written is not a secret of at least 16 characters; write for example ${STANZAGATE_STORE_HASH}',
    ],
    [{ more: 'store: { file: a }' }, '9: store.file: is not a known key; known are path, redis, days, hash'],
    ...['redis:6379', 'http://a', 'redis://', 'redis://a/b', 'redis://a/0?b', 'redis://:a%b@c'].map(
      (url): [Parts, string] => [
        { more: `store: { redis: '${url}' }` },
        '9: store.redis: what is written is not the URL of a Redis, as redis://127.0.0.1:6379/0; write for example redis://127.0.0.1:6379/0',
      ],
    ),
    [
      { more: 'store: { path: a, redis: redis://a }' },
      '9: store.path: is there beside redis, and there is one store; remove one of them',
    ],
    // Variables
    [
      { admin: "{ address: 127.0.0.1, port: 1, token: '${NOT_SET}' }" },
      '3: admin.token: stands for the variable NOT_SET, which is not set; set NOT_SET in the environment',
    ],
    [
      { admin: "{ address: 127.0.0.1, port: 1, token: '${constructor}' }" },
      '3: admin.token: stands for the variable constructor, which is not set; set constructor in the environment',
    ],
    [
      tcp('tls: { mode: none }', '${NOT_SET}'),
      '2: listeners[0].address: stands for the variable NOT_SET, which is not set; set NOT_SET in the environment',
    ],
    [
      pem("'${NOT_SET}/cert.pem'", 'key.pem'),
      '2: listeners[0].tls.cert: holds a ${...} that is not the whole value; write ${NAME} alone, or none',
    ],
    [tcp('tls: { mode: none }', '${ADDRESS_SET}'), `2: listeners[0].tls.mode: ${refused('${ADDRESS_SET}')}`],
    // Anchors
    [{ more: 'log: *nowhere' }, '9: log: is an alias whose anchor does not stand before it; write the value itself'],
    [{ more: 'log: &loop { level: *loop }' }, '9: log.level: contains itself; write the value itself'],
  ]
  spawnSync('mkfifo', [join(folder, 'pipe')])
  linkSync(join(folder, 'key.pem'), join(folder, 'linked.pem'))
  process.env.PORT_SET = '5280'
  process.env.ADDRESS_SET = '192.0.2.1'
  for (const [parts, ...expected] of bad) {
    writeFileSync(file, fileWith(parts))
    t.strictSame(
      problemsOf(file),
      expected.map(line => `stanzagate.yaml:${line}`),
      JSON.stringify(parts),
    )
  }
  t.end()
})

t.test('files that are no configuration', t => {
  const missing = (line: number) => [
    `${line}: listeners: is missing; add a list with at least one listener`,
    `${line}: upstreams: is missing; add a map with at least one upstream, by name`,
    `${line}: routes: is missing; add a list with at least one route`,
  ]
  const notKey =
    'is not a known key; known are listeners, admin, upstreams, routes, rules, limits, audit, store, watch, log'
  const notMap = "is not a map with listeners, upstreams and routes; write 'key: value' entries"
  const laughs = ['a', 'b', 'c', 'd', 'e', 'f'].map(
    (name, i, names) => `${name}: &${name} [${Array(10).fill(i === 0 ? 'x' : `*${names[i - 1]}`)}]`,
  )
  const bad: [string | Uint8Array, ...string[]][] = [
    ['', '1: is empty; start from stanzagate.example.yaml'],
    ['# nothing\n---\n', '1: is empty; start from stanzagate.example.yaml'],
    ['{}', ...missing(1)],
    ['[]', `1: a list ${notMap}`],
    ['s3cret', `1: a text ${notMap}`],
    ['\n\nlog: { level: info }', ...missing(3)],
    [Uint8Array.of(0xff, 0xfe, 0x61, 0), '1: is not UTF-8; save it in that encoding'],
    ['#'.repeat(1_048_577), '1: has more than 1048576 bytes; name a configuration file'],
    ['['.repeat(20_000), '1: is nested more than 64 deep; close the brackets, or write it flatter'],
    ['- '.repeat(20_000), '1: is nested more than 64 deep; close the brackets, or write it flatter'],
    [laughs.join('\n'), '1: has more than 100000 parts with its aliases put in; write it with fewer aliases'],
    ['log: "s3cret', "1: lacks ': ', a comma, a quote or a bracket; write 'key: value', and close what is open"],
    ['a: 1\ns3cret', "2: lacks ': ', a comma, a quote or a bracket; write 'key: value', and close what is open"],
    [
      'a: [s3cret\nb: 1',
      '2: is indented wrongly, or a bracket is open; line it up with its neighbours, or close the bracket',
    ],
    [
      'a: s3c: ret',
      "1: has a second ': ', or the next line is indented wrongly; write the text in quotes, or line it up",
    ],
    [
      'a:\n  s3cret\n  b: 1',
      "2: lacks ': ' behind the key, or is indented wrongly; write 'key: value', and line it up",
    ],
    ['a: "\\s3cret"', '1: has a backslash that means nothing; write the text in single quotes, or the backslash twice'],
    ['a: @s3cret', '1: starts with a sign that YAML keeps for itself; write the text in quotes'],
    ['a: "b" "s3cret"', '1: has something that does not belong there; write the text in quotes, or see the brackets'],
    ['a: { b: :: }', '1: has a block between brackets; write it in brackets as well, or in quotes if it is a text'],
    ['a: !s3cret b', "1: has a tag; remove the word that starts with '!'"],
    ['a: !!binary czNjcmV0', "1: has a tag; remove the word that starts with '!'"],
    ['a:\r\n\tb: 1\r\n', '2: is indented with a tab; indent with spaces'],
    ['{ [a]: 1 }', '1: has a key that is no text; write a word as the key'],
    ['a: 1\n---\nb: 1', "2: starts a second document; remove the '---'"],
    ['a: &b &c 1', '1: is not YAML; see this line and the one before it'],
    ['a: { token: ${NAME} }', "1: is not YAML; write '${NAME}' in quotes where there are brackets around it"],
    // Two lines, two mistakes.
    [
      'a: @b\nc: @d',
      ...[1, 2].map(line => `${line}: starts with a sign that YAML keeps for itself; write the text in quotes`),
    ],
    // For want of a space the secret is part of the key.
    ['{ token:s3cret }', ...missing(1), `1: token...: ${notKey}`],
  ]
  for (const [text, ...expected] of bad) {
    writeFileSync(file, text)
    t.strictSame(
      problemsOf(file),
      expected.map(line => `stanzagate.yaml:${line}`),
      String(text).slice(0, 60),
    )
  }
  t.strictSame(problemsOf(join(folder, 'none.yaml')), ['none.yaml:1: does not exist; correct the path'])
  t.strictSame(problemsOf(join(folder, 'folder')), ['folder:1: is a folder; name the configuration file in it'])
  t.end()
})

/** Days that some certificates have, seen from the one moment that all these tests take for now. */
const now = Date.UTC(2030, 0, 1)
const day = 86_400_000
const days = (from: number, to: number) => ({
  keyType: 'ec' as const,
  notBeforeDate: new Date(now + from * day),
  notAfterDate: new Date(now + to * day),
})

/** One line for each warning, with the file's own name. */
function warningsOf(text: string): string[] {
  writeFileSync(file, text)
  const told: string[] = []
  const names = rules.map(({ name }) => name)
  readConfig(file, names, warning => told.push(formatWarning(warning).replaceAll(`${folder}/`, '')), now)
  return told
}

t.test('what may be wrong soon is told, and keeps nobody from starting', async t => {
  const ages = {
    past: days(-90, -1),
    ending: days(-90, 14),
    fresh: days(-1, 15),
    coming: days(2, 90),
    last: days(-1, 0),
  }
  for (const [name, age] of Object.entries(ages)) {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], age)
    writeFileSync(join(folder, `${name}.pem`), cert)
    writeFileSync(join(folder, `${name}-key.pem`), key, { mode: 0o600 })
  }
  const pems = ['fresh.pem', 'past.pem'].map(name => readFileSync(join(folder, name), 'utf8'))
  writeFileSync(join(folder, 'fresh-chain.pem'), pems.join('\n'))
  for (const mode of [0o600, 0o640, 0o660, 0o644, 0o604, 0o602]) {
    const key = join(folder, `key-${mode.toString(8)}.pem`)
    writeFileSync(key, readFileSync(join(folder, 'fresh-key.pem')))
    // Not at once: the umask would have its say.
    chmodSync(key, mode)
  }
  const taken = 'run chmod o= on it, and have a new key made if anybody may have taken it'
  const clearly = 'let nothing but a trusted network reach it, and use TLS as soon as you can'
  const blind =
    "8: warning: rules.roster-version-held: is off, so a client that knows its roster's version gets no roster, and "
  const seeing = 'can verify nothing; set it to observe, repair or enforce: it refuses nothing'
  const rows: [Parts, ...string[]][] = [
    [pem('fresh.pem', 'fresh-key.pem')],
    [{ rules: '{ default: observe }' }],
    [{ rules: '{ default: off }' }],
    [
      { rules: '{ roster-version-held: off }' },
      `${blind}subscribed-needs-request and unsubscribed-needs-subscription ${seeing}`,
    ],
    [{ rules: '{ default: off, subscribed-needs-request: observe }' }, `${blind}subscribed-needs-request ${seeing}`],
    [{ rules: '{ default: off, subscribed-needs-request: observe, roster-version-held: observe }' }],
    [
      pem('ending.pem', 'ending-key.pem'),
      "2: warning: listeners[0].tls.cert: 'ending.pem' expires on 2030-01-15; renew it: the gate reads it again by itself",
    ],
    [
      pem('past.pem', 'past-key.pem'),
      "2: warning: listeners[0].tls.cert: 'past.pem' expired on 2029-12-31; renew it: clients refuse it",
    ],
    [
      pem('last.pem', 'last-key.pem'),
      "2: warning: listeners[0].tls.cert: 'last.pem' expired on 2030-01-01; renew it: clients refuse it",
    ],
    [
      websocket(', tls: { cert: coming.pem, key: coming-key.pem }'),
      "2: warning: listeners[0].tls.cert: 'coming.pem' is not valid before 2030-01-03; correct this machine's clock, or wait",
    ],
    [
      pem('fresh-chain.pem', 'fresh-key.pem'),
      "2: warning: listeners[0].tls.cert: 'fresh-chain.pem' expired on 2029-12-31 (certificate 2 in it); renew it: clients refuse it",
    ],
    [
      upstream('tls: { mode: direct, ca: past.pem }'),
      "5: warning: upstreams.main.tls.ca: 'past.pem' expired on 2029-12-31; renew it: clients refuse it",
    ],
    [pem('fresh.pem', 'key-600.pem')],
    [pem('fresh.pem', 'key-640.pem')], // of root and a group of its own
    [
      pem('fresh.pem', 'key-660.pem'),
      "2: warning: listeners[0].tls.key: 'key-660.pem' is a private key that its whole group may replace; run chmod g-w on it",
    ],
    ...['644', '604'].map((mode): [Parts, string] => [
      pem('fresh.pem', `key-${mode}.pem`),
      `2: warning: listeners[0].tls.key: 'key-${mode}.pem' is a private key that everybody on this machine may read; ${taken}`,
    ]),
    [
      pem('fresh.pem', 'key-602.pem'),
      `2: warning: listeners[0].tls.key: 'key-602.pem' is a private key that everybody on this machine may replace; ${taken}`,
    ],
    [
      tcp('tls: { mode: none }, plaintext: allowed', '0.0.0.0'),
      `2: warning: listeners[0].plaintext: is allowed, and ${clear('0.0.0.0')}; ${clearly}`,
    ],
    [
      websocket(', plaintext: allowed', '::'),
      `2: warning: listeners[0].plaintext: is allowed, and ${clear('::')}; ${clearly}`,
    ],
    [tcp('tls: { mode: none }, plaintext: allowed')],
    [websocket(', plaintext: allowed')],
    [tcp('tls: { mode: starttls, cert: fresh.pem, key: fresh-key.pem }, plaintext: allowed', '0.0.0.0')],
  ]
  const good = pem('fresh.pem', 'fresh-key.pem')
  for (const [parts, ...expected] of rows) {
    t.strictSame(
      warningsOf(fileWith({ ...good, ...parts })),
      expected.map(line => `stanzagate.yaml:${line}`),
      JSON.stringify(parts),
    )
  }
  process.env.STANZAGATE_TEST_TOKEN = 's3cret'
  const openly =
    'stands in a file that everybody on this machine may read; write ${NAME} and set that variable, or run chmod o= on this file'
  const short = 'has fewer than 16 characters; take one that nobody can guess (openssl rand -hex 32)'
  const tokens: [mode: number, token: string, ...warnings: string[]][] = [
    [0o644, '0123456789abcdef', openly],
    [0o644, '0123456789abcde', short, openly],
    [0o644, "'${STANZAGATE_TEST_TOKEN}'", short],
    [0o640, '0123456789abcdef'],
  ]
  for (const [mode, token, ...warnings] of tokens) {
    chmodSync(file, mode)
    const told = warningsOf(fileWith({ ...good, admin: `{ address: 127.0.0.1, port: 1, token: ${token} }` }))
    const expected = warnings.map(words => `stanzagate.yaml:3: warning: admin.token: ${words}`)
    t.strictSame(told, expected, `${mode.toString(8)} ${token}`)
  }
  chmodSync(file, 0o644)
  t.match(
    warningsOf(fileWith({ ...good, more: "audit: { file: audit.jsonl, hash: true, key: '0123456789abcdef' }" })),
    [/^stanzagate\.yaml:9: warning: audit\.key: stands in a file that everybody on this machine may read/],
  )
  t.match(warningsOf(fileWith({ ...good, more: "store: { redis: 'redis://:s3cret@a' }" })), [
    /^stanzagate\.yaml:9: warning: store\.redis: stands in a file that everybody on this machine may read/,
  ])
  t.same(warningsOf(fileWith({ ...good, more: 'store: { redis: redis://a }' })), [])
  for (const [strangers, ...expected] of [
    ['listed: [spam.example]', /listed: names strangers, and nothing says what becomes of them: they are held/],
    ['listed: [spam.example], strangers: { listed: hold }'],
    ['listed: []'],
    ['denyDropped: true', /denyDropped: is true, and no class of strangers is dropped/],
    ['denyDropped: true, strangers: { other: drop }'],
    ['denyDropped: false'],
  ] as const)
    t.match(
      warningsOf(fileWith({ ...good, more: `limits: { pendingRequests: { ${strangers} } }` })),
      { ...expected, length: expected.length },
      strangers,
    )
  t.match(warningsOf(fileWith({ ...good, more: 'store: { hash: 0123456789abcdef-s3cret }' })), [
    /^stanzagate\.yaml:9: warning: store\.hash: stands in a file that everybody on this machine may read/,
  ])
  chmodSync(file, 0o600)
})

t.test('all problems are told at once, in the order of the file', t => {
  writeFileSync(
    file,
    `routes:
  - { domain: IM.example, upstream: mian }
  - { domain: im.example, upstream: main }
log: { level: inof }
listeners:
  - kind: tcp
    tls:
      key: none.pem
      mode: none
    port: -1
    address: 0.0.0.0
    colour: red
upstreams:
  main: &main { address: 127.0.0.1, port: 5222, tls: { mode: non } }
  spare: *main
`,
  )
  const error = t.throws(() => readConfig(file, ruleNames), ConfigError) as ConfigError
  t.strictSame(
    error.problems.map(({ line, column, key }) => [line, column, key]),
    [
      [2, 27, 'routes[0].upstream'],
      [3, 7, 'routes[1].domain'],
      [4, 8, 'log.level'],
      [8, 7, 'listeners[0].tls.key'],
      [9, 7, 'listeners[0].tls.mode'],
      [10, 5, 'listeners[0].port'],
      [12, 5, 'listeners[0].colour'],
      [14, 56, 'upstreams.main.tls.mode'],
      [14, 56, 'upstreams.spare.tls.mode'],
    ],
  )
  t.equal(error.message, error.problems.map(formatProblem).join('\n'))
  t.equal(error.problems[0]?.file, file)
  t.end()
})

t.test('a secret is in no message', t => {
  process.env.STANZAGATE_TEST_TOKEN = 's3cret value'
  const bad = [
    fileWith({ admin: "{ address: 127.0.0.1, port: 1, token: 's3cret value' }" }),
    fileWith({ admin: "{ address: 127.0.0.1, port: 1, token: ['s3cret'] }" }),
    fileWith({ admin: "{ address: 127.0.0.1, port: 1, token: '${STANZAGATE_TEST_TOKEN}' }" }),
    fileWith({ admin: '{ address: 127.0.0.1, port: 1, token:s3cret }' }),
    fileWith({ admin: 's3cret' }),
    fileWith({ admin: '{ address: 127.0.0.1, port: 1, token: &t s3cret }', more: 'log: { level: *t }' }),
    fileWith({ admin: '{ address: 127.0.0.1, port: 1, token: *s3cret }' }),
    fileWith({ more: "log: { level: '${STANZAGATE_TEST_TOKEN}' }" }),
    fileWith(pem("'${STANZAGATE_TEST_TOKEN}'", 'key.pem')),
    fileWith({ admin: "{ address: 0.0.0.0, port: 's3cret', token: s3cret }" }),
    fileWith({ more: "audit: { file: audit.jsonl, key: 's3cret value of many characters' }" }),
    fileWith({ more: 'audit: { file: s3cret/audit.jsonl, hash: true, key: s3cret/audit.jsonl }' }),
  ]
  for (const text of bad) {
    writeFileSync(file, text)
    const problems = problemsOf(file)
    t.not(problems.length, 0, text)
    t.notMatch(problems.join('\n'), /s3cret/)
  }
  writeFileSync(file, bad[0] ?? '')
  t.strictSame(problemsOf(file), [
    'stanzagate.yaml:3: admin.token: what is written is not a bearer token of printable ASCII without spaces; write for example ${STANZAGATE_TOKEN}',
  ])
  t.end()
})

t.test('everything that a file may say', t => {
  process.env.STANZAGATE_TEST_TOKEN = 'from/the+environment=='
  const config = read(`
listeners:
  - { kind: tcp, address: 0.0.0.0, port: 5222, tls: &tls { mode: starttls, cert: ./cert.pem, key: key.pem } }
  - { kind: tcp, address: "::", port: 5222, tls: *tls }
  - { kind: tcp, name: old-clients, address: xmpp.example, port: 5223, tls: { mode: direct, cert: ${folder}/chain.pem, key: both.pem } }
  - { kind: tcp, address: '::ffff:127.8.9.10', port: 0, tls: { mode: none } }
  - { kind: tcp, address: "0:0:0:0:0:0:0:1", port: 0, tls: { mode: none } }
  - { kind: websocket, address: localhost, port: 5280 }
  - kind: websocket
    address: fe80::1%eth0
    port: 5281
    path: /ws
    tls: { cert: both.pem, key: both.pem }
    origins: ['https://chat.example', 'http://localhost:8080', 'app://localhost', 'null']
admin:
  address: 0.0.0.0
  port: 9464
  token: \${STANZAGATE_TEST_TOKEN}
upstreams:
  main: { address: 127.0.0.1, port: 15222, tls: { mode: none } }
  other.1: { address: xmpp.example, port: 15223, tls: { mode: direct, ca: chain.pem, servername: xmpp.example } }
  plain: { address: 2001:db8::1, port: 5222, tls: { mode: starttls } }
routes:
  - { domain: Localhost, upstream: main }
  - { domain: bücher.example, upstream: other.1 }
  - { domain: '[::1]', upstream: plain }
  - { domain: 192.0.2.1, upstream: plain }
  - { domain: my_host.example., upstream: plain }
  - { domain: '*', upstream: main }
rules: { default: observe, foreignFrom: close, unknown: fetch, roster-set-one-item: off, subscribed-needs-request: 'enforce', trustedDomains: [gateway.example] }
audit: { file: ./audit.jsonl, all: true, hash: true, key: '\${STANZAGATE_TEST_TOKEN}' }
log: { level: silent }
`)
  const none = { mode: 'none' } as const
  const pair = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const expected: Config = {
    listeners: [
      { kind: 'tcp', name: 'tcp-5222', address: '0.0.0.0', port: 5222, tls: { mode: 'starttls', ...pair } },
      { kind: 'tcp', name: 'tcp-5222-2', address: '::', port: 5222, tls: { mode: 'starttls', ...pair } },
      {
        kind: 'tcp',
        name: 'old-clients',
        address: 'xmpp.example',
        port: 5223,
        tls: { mode: 'direct', cert: join(folder, 'chain.pem'), key: join(folder, 'both.pem') },
      },
      { kind: 'tcp', name: 'tcp-0', address: '::ffff:127.8.9.10', port: 0, tls: none },
      { kind: 'tcp', name: 'tcp-0-2', address: '0:0:0:0:0:0:0:1', port: 0, tls: none },
      {
        kind: 'websocket',
        name: 'websocket-5280',
        address: 'localhost',
        port: 5280,
        path: '/xmpp-websocket',
        tls: undefined,
        origins: undefined,
      },
      {
        kind: 'websocket',
        name: 'websocket-5281',
        address: 'fe80::1%eth0',
        port: 5281,
        path: '/ws',
        tls: { cert: join(folder, 'both.pem'), key: join(folder, 'both.pem') },
        origins: ['https://chat.example', 'http://localhost:8080', 'app://localhost', 'null'],
      },
    ],
    admin: { address: '0.0.0.0', port: 9464, token: 'from/the+environment==' },
    upstreams: new Map([
      [
        'main',
        { name: 'main', address: '127.0.0.1', port: 15222, tls: { ...none, ca: undefined, servername: undefined } },
      ],
      [
        'other.1',
        {
          name: 'other.1',
          address: 'xmpp.example',
          port: 15223,
          tls: { mode: 'direct', ca: join(folder, 'chain.pem'), servername: 'xmpp.example' },
        },
      ],
      [
        'plain',
        {
          name: 'plain',
          address: '2001:db8::1',
          port: 5222,
          tls: { mode: 'starttls', ca: undefined, servername: undefined },
        },
      ],
    ]),
    routes: [
      { domain: 'Localhost', upstream: 'main' },
      { domain: 'bücher.example', upstream: 'other.1' },
      { domain: '[::1]', upstream: 'plain' },
      { domain: '192.0.2.1', upstream: 'plain' },
      { domain: 'my_host.example.', upstream: 'plain' },
      { domain: '*', upstream: 'main' },
    ],
    rules: {
      default: 'observe',
      modes: new Map([
        ['roster-set-one-item', 'off'],
        ['subscribed-needs-request', 'enforce'],
      ]),
      trustedDomains: ['gateway.example'],
      foreignFrom: 'close',
      unknown: 'fetch',
    },
    limits: defaultLimits,
    audit: { file: join(folder, 'audit.jsonl'), all: true, key: 'from/the+environment==' },
    store: { at: { path: join(folder, 'stanzagate.store') }, days: 90, isDefault: true },
    log: { level: 'silent' },
  }
  t.strictSame(config, expected)
  const { audit } = read(fileWith({ more: 'audit: { file: audit.jsonl }' }))
  t.strictSame(audit, { file: join(folder, 'audit.jsonl'), all: false, key: undefined })
  t.end()
})

t.test('where accounts are kept', t => {
  const storeOf = (text: string) => read(fileWith({ more: text })).store
  t.strictSame(storeOf('store: none'), undefined)
  t.strictSame(storeOf('store: { path: ../kept, days: 7 }'), { at: { path: join(folder, '..', 'kept') }, days: 7 })
  t.strictSame(storeOf('store: { days: 7 }'), {
    at: { path: join(folder, 'stanzagate.store') },
    days: 7,
    isDefault: true,
  })
  process.env.STATE_DIRECTORY = '/var/lib/stanzagate:/var/lib/other'
  t.strictSame(storeOf('store: {}'), {
    at: { path: '/var/lib/stanzagate/stanzagate.store' },
    days: 90,
    isDefault: true,
  })
  t.strictSame(storeOf('store: { redis: rediss://u:p@redis.example/3 }'), {
    at: { redis: 'rediss://u:p@redis.example/3' },
    days: 90,
  })
  t.strictSame(
    storeOf('store: { path: here }'),
    { at: { path: join(folder, 'here') }, days: 90 },
    'a path starts at the file',
  )
  delete process.env.STATE_DIRECTORY
  const hash = '0123456789abcdef'
  for (const at of [{ path: join(folder, 'here') }, { redis: 'redis://a' }])
    t.strictSame(storeOf(`store: ${JSON.stringify({ ...at, hash })}`), { at, days: 90, hash })
  t.end()
})

t.test('proxies in front and behind, and host-meta', t => {
  const { listeners, upstreams } = read(`
listeners:
  - kind: tcp
    address: 127.0.0.1
    port: 1
    tls: { mode: none }
    proxyProtocol: { trusted: [10.0.0.0/8, '2001:db8::/32', 192.0.2.1, '::1', '::ffff:10.0.0.0/104'] }
  - kind: websocket
    address: 127.0.0.1
    port: 2
    path: /.well-known/host-meta
    proxyProtocol: { trusted: [0.0.0.0/0] }
    forwardedFor: { trusted: ['::/0'] }
  - { kind: websocket, address: 127.0.0.1, port: 3, url: 'wss://chat.example:8443/xmpp-websocket?a=b' }
upstreams:
  main: { address: 127.0.0.1, port: 15222, tls: { mode: none }, proxyProtocol: v2 }
  old: { address: 127.0.0.1, port: 15222, tls: { mode: none }, proxyProtocol: v1 }
routes: [{ domain: localhost, upstream: main }]
`)
  t.match(listeners[0], {
    proxyProtocol: { trusted: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1', '::1', '::ffff:10.0.0.0/104'] },
  })
  t.match(listeners[1], { proxyProtocol: { trusted: ['0.0.0.0/0'] }, forwardedFor: { trusted: ['::/0'] } })
  t.match(listeners[2], { url: 'wss://chat.example:8443/xmpp-websocket?a=b' })
  t.strictSame(
    [...upstreams.values()].map(({ proxyProtocol }) => proxyProtocol),
    ['v2', 'v1'],
  )
  const isUrl = formats['websocket-url']
  const good = [
    'wss://chat.example',
    'wss://chat.example:8443/?a=b&c',
    'wss://[2001:db8::1]/',
    'wss://bücher.example/ws',
  ]
  for (const url of [...good, 'ws://localhost:5280/ws', 'ws://127.9.9.9', 'ws://[::1]:5280/ws']) t.ok(isUrl(url), url)
  const bad = [
    'https://chat.example/ws',
    'ws://chat.example/ws',
    'wss:/chat.example',
    'wss://',
    'WSS://chat.example/',
    '',
  ]
  bad.push('wss://user@chat.example/', 'wss://chat.example/#a', 'wss://chat.example#a', 'wss://chat.example/a b')
  bad.push(
    'wss://chat.example:99999/',
    'wss://chat.example/\n',
    'ws://127.0.0.1.example/',
    'ws://[2001:db8::1]/',
    'chat.example',
  )
  for (const url of bad) t.notOk(isUrl(url), url)
  t.end()
})

t.test('limits', t => {
  const bad: [limits: string, ...problems: string[]][] = [
    [
      '{ client: { bytes: 9999 } }',
      '9: limits.client.bytes: 9999 is not a whole number of bytes from 10000 to 1073741824; write for example 262144',
    ],
    [
      '{ seconds: { header: 0.5 } }',
      '9: limits.seconds.header: 0.5 is not a whole number of seconds from 1 to 86400; write for example 5',
    ],
    [
      '{ compensationsPerHour: 0 }',
      '9: limits.compensationsPerHour: 0 is not a whole number of subscriptions from 1 to 1000; write for example 10',
    ],
    ['{ seconds: { headers: 5 } }', "9: limits.seconds.headers: is not a known key; did you mean 'header'?"],
    [
      '{ exempt: [10.0.0.0/33] }',
      "9: limits.exempt[0]: '10.0.0.0/33' is not an IP address or a block of them in CIDR notation; write for example 10.0.0.0/8",
    ],
    [
      '{ resources: "20" }',
      "9: limits.resources: '20' is not a whole number of sessions from 1 to 100000; write it without quotes",
    ],
    [
      '{ client: 5 }',
      "9: limits.client: 5 is not a map with what one element of a client may have; write 'key: value' entries",
    ],
    [
      '{ pendingRequests: { strangers: { other: reject }, listed: [a@b/c, "@"], headline: "" } }',
      "9: limits.pendingRequests.strangers.other: 'reject' is not one of accept, hold, drop; write one of them",
      "9: limits.pendingRequests.listed[0]: 'a@b/c' is not a domain or a bare JID; write for example spam.example",
      "9: limits.pendingRequests.listed[1]: '@' is not a domain or a bare JID; write for example spam.example",
      "9: limits.pendingRequests.headline: '' is not a text of 1 to 1000 characters; write for example There are {count} contact requests of strangers that wait",
    ],
    [
      String.raw`{ pendingRequests: { headline: "a\x01" } }`,
      String.raw`9: limits.pendingRequests.headline: 'a\u0001' is not a text of 1 to 1000 characters; write for example There are {count} contact requests of strangers that wait`,
    ],
    [
      '{ pendingRequests: { perLogin: 0, perWeek: 5 } }',
      '9: limits.pendingRequests.perLogin: 0 is not a whole number of requests from 1 to 200; write for example 10',
      '9: limits.pendingRequests.perWeek: is not a known key; known are perLogin, perDay, strangers, listed, perHour, headline, denyDropped',
    ],
  ]
  for (const [limits, ...expected] of bad) {
    writeFileSync(file, fileWith({ more: `limits: ${limits}` }))
    t.strictSame(
      problemsOf(file),
      expected.map(line => `stanzagate.yaml:${line}`),
      limits,
    )
  }
  const limitsOf = (limits: string) => read(fileWith({ more: `limits: ${limits}` })).limits
  t.strictSame(limitsOf('{}'), defaultLimits)
  t.equal(limitsOf('{}')?.compensationsPerHour, undefined)
  t.equal(limitsOf('{ compensationsPerHour: 10 }')?.compensationsPerHour, 10)
  t.strictSame(limitsOf('{ pendingRequests: {} }')?.pendingRequests, { perLogin: 10, perDay: 50 })
  t.strictSame(limitsOf('{ pendingRequests: { perLogin: 3 } }')?.pendingRequests, { perLogin: 3, perDay: 50 })
  t.match(limitsOf('{ seconds: { header: 7 }, client: { depth: 9 }, overload: { heapPercent: 70 }, exempt: [] }'), {
    times: { ...defaultLimits.times, header: 7_000 },
    client: { ...defaultLimits.client, depth: 9 },
    overload: { ...defaultLimits.overload, refuseAt: 0.7 },
    exempt: [],
  })
  t.match(limitsOf('{ rate: { stanzas: 5, byteBurst: 20000 } }')?.rate, {
    stanzas: { perSecond: 5, burst: 50 },
    bytes: { perSecond: defaultLimits.rate.bytes.perSecond, burst: 20_000 },
  })
  t.end()
})

t.test('the example tells every limit, with its default', t => {
  const root = resolve(import.meta.dirname, '../../..')
  const example = readFileSync(join(root, 'stanzagate.example.yaml'), 'utf8')
  const block = /^# limits:\n(?:# .*\n)+/m.exec(example)?.[0].replaceAll(/^# /gm, '') ?? ''
  t.strictSame(read(fileWith({ more: block })).limits, defaultLimits)
  const { limits } = JSON.parse(readFileSync(join(root, 'schemas/config.schema.json'), 'utf8')).properties
  const keys = (schema: { properties?: Record<string, object> }, at: string): string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([name, part]) => [`${at}.${name}`, ...keys(part, `${at}.${name}`)])
  for (const key of keys(limits, 'limits')) t.match(block, new RegExp(`\\b${key.replace(/.*\./, '')}:`), key)
  t.end()
})

t.test('the schema tells every default and every meaning, and docs/configuration.md is made of it', t => {
  const root = resolve(import.meta.dirname, '../../..')
  const schema = JSON.parse(readFileSync(join(root, 'schemas/config.schema.json'), 'utf8')) as ConfigurationSchema
  const defaultsOf = ({ properties = {} }: SchemaPart): object =>
    Object.fromEntries(
      Object.entries(properties).flatMap(([name, part]) => {
        const inner = part.properties === undefined ? {} : defaultsOf(part)
        // A map without defaults means something by being there.
        if (part.properties !== undefined) return Object.keys(inner).length > 0 ? [[name, inner]] : []
        return part.default === undefined ? [] : [[name, part.default]]
      }),
    )
  const limits = schema.properties?.limits as SchemaPart
  t.strictSame(read(fileWith({ more: `limits: ${JSON.stringify(defaultsOf(limits))}\n` })).limits, defaultLimits)
  const silent: string[] = []
  const resolved = (part: SchemaPart): SchemaPart => ({
    ...schema.definitions[part.$ref?.replace('#/definitions/', '') ?? ''],
    ...part,
  })
  const listen = (path: string, part: SchemaPart) => {
    for (const [name, child] of Object.entries(part.properties ?? {})) {
      if (resolved(child).title === undefined) silent.push(`${path}.${name}`)
      listen(`${path}.${name}`, resolved(child))
    }
    for (const each of part.oneOf ?? []) listen(path, each)
    if (part.items !== undefined) listen(`${path}[]`, resolved(part.items))
  }
  listen('', schema)
  t.strictSame(silent, [], 'every key says what it means')
  const onDisk = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  const names = rules.map(rule => rule.name)
  t.equal(onDisk, configurationDocument(schema, names), 'node scripts/configuration.mjs')
  t.end()
})

t.test('the sections that a reload takes are those that the documents name', t => {
  const config = read(fileWith({}))
  const settings = new Settings(config, () => {})
  for (const [section, key] of Object.entries({ routes: 'routes', rules: 'rules.default', limits: 'limits.buffer' }))
    t.equal(
      settings.parts.some(part => part.changed([key]).length > 0),
      reloadedSections.includes(section),
      section,
    )
  t.end()
})

t.test('shipped configurations name their schema for editors', t => {
  const root = resolve(import.meta.dirname, '../../..')
  const schema = JSON.parse(readFileSync(join(root, 'schemas/config.schema.json'), 'utf8')) as { $id: string }
  const line = `# yaml-language-server: $schema=${schema.$id}`
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    file => /(?:^|\/)stanzagate[\w.-]*\.yaml$/.test(file) && !/node_modules|^dist|^\.|grafana/.test(file),
  )
  t.ok(files.includes('stanzagate.example.yaml'))
  for (const file of files) t.equal(readFileSync(join(root, file), 'utf8').split('\n')[0], line, file)
  t.ok(readFileSync(join(root, 'docs/configuration.md'), 'utf8').includes(line), 'the page shows the line')
  t.end()
})

t.test('the least that a file must say, in YAML and in JSON', t => {
  const least = {
    listeners: [{ kind: 'websocket', address: '127.0.0.1', port: 0 }],
    upstreams: { main: { address: '127.0.0.1', port: 15222, tls: { mode: 'none' } } },
    routes: [{ domain: 'localhost', upstream: 'main' }],
  }
  const config = read(JSON.stringify(least))
  t.equal(config.admin, undefined)
  t.strictSame(config.rules, { default: 'enforce', modes: new Map(), trustedDomains: [] })
  t.strictSame(config.log, { level: 'info' })
  const areas = { sessions: 'debug', rules: 'silent' }
  const log = read(JSON.stringify({ ...least, log: { areas } })).log
  t.strictSame([log.level, { ...log.areas }], ['info', areas])
  t.strictSame(read(`\ufeff${JSON.stringify(least, null, '\t').replaceAll('\n', '\r\n')}`), config)
  t.strictSame(read(`%YAML 1.1\n---\n${JSON.stringify(least)}\n`), config)
  const withoutToken = read(JSON.stringify({ ...least, admin: { address: '::1', port: 0 } }))
  t.strictSame(withoutToken.admin, { address: '::1', port: 0, token: undefined })
  // In YAML 1.1 an unquoted off was false.
  for (const head of ['', '%YAML 1.1\n---\n']) {
    const { rules } = read(`${head}${fileWith({ rules: '{ default: off, roster-set-one-item: off }' })}`)
    t.strictSame(rules, { default: 'off', modes: new Map([['roster-set-one-item', 'off']]), trustedDomains: [] })
  }
  t.end()
})

t.test('the example is a good one, and the schema knows the words of the code', t => {
  const root = resolve(import.meta.dirname, '../../..')
  const config = read(readFileSync(join(root, 'stanzagate.example.yaml'), 'utf8'))
  t.strictSame(
    config.listeners.map(({ name, port }) => [name, port]),
    [
      ['clients', 5222],
      ['websocket-5280', 5280],
    ],
  )
  t.strictSame(config.rules.trustedDomains, ['gateway.example'])
  const schema = JSON.parse(readFileSync(join(root, 'schemas/config.schema.json'), 'utf8'))
  t.strictSame(schema.definitions.logLevel.enum, logLevels)
  t.strictSame(Object.keys(schema.properties.log.properties.areas.properties), logAreas)
  t.strictSame(schema.definitions.mode.enum, modes)
  t.end()
})
