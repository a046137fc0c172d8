// What a throwaway Prosody is told: its configuration file and the accounts' files, written by hand, since `prosodyctl
// register` would cost as much time as the whole server.
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface ProsodyOptions {
  /** Virtual hosts; default `localhost`. */
  readonly hosts?: readonly string[]
  /** Password by user name; every account exists on every virtual host. Default: romeo and juliet, both with `secret`. */
  readonly accounts?: Readonly<Record<string, string>>
  /** Offers SASL PLAIN too, also where there is no TLS; without it SCRAM only. */
  readonly plain?: boolean
  /** Paths of PEM files. With them STARTTLS is offered on the c2s port, and there is a direct TLS port. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  /** No login without TLS. */
  readonly requireEncryption?: boolean
  /** Opens an HTTP port with Prosody's own WebSocket (`/xmpp-websocket`) and BOSH (`/http-bind`). */
  readonly http?: boolean
  /** Lets clients register accounts (XEP-0077). */
  readonly registration?: boolean
  /** Bytes of the largest stanza that it takes after a login; default Prosody's own, 262,144. */
  readonly stanzaSizeLimit?: number
  /** Modules besides the usual ones; Debian's package prosody-modules has the community's. */
  readonly modules?: readonly string[]
  /** Lines for the global section, behind the others; `{c2s}` stands for the c2s port. */
  readonly settings?: string
  /** Opens a component port (XEP-0114) where `stranger.localhost` may connect with this secret. */
  readonly componentSecret?: string
}

/** `undefined`: not opened. */
export interface ProsodyPorts {
  readonly c2s: number
  readonly directTls: number | undefined
  readonly http: number | undefined
  readonly component: number | undefined
}

/** A loopback address is the only one that a throwaway server listens on. */
export const address = '127.0.0.1'

/** The names of the ports that these options ask for. */
export function portsWanted(options: ProsodyOptions): (keyof ProsodyPorts)[] {
  return [
    'c2s',
    ...(options.certificate === undefined ? [] : ['directTls' as const]),
    ...(options.http === true ? ['http' as const] : []),
    ...(options.componentSecret === undefined ? [] : ['component' as const]),
  ]
}

// The compiled file is in dist/test/servers, but tsc leaves Lua where it is: in the repository's test/servers.
const repository = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const modules = join(repository, 'test', 'servers', 'modules')

/** Writes configuration and accounts into `folder`; gives the configuration file's path. */
export async function writeProsodyFiles(folder: string, ports: ProsodyPorts, options: ProsodyOptions): Promise<string> {
  const data = join(folder, 'data')
  await mkdir(data)
  await mkdir(join(folder, 'certs')) // looked into even when there is nothing to find
  for (const host of options.hosts ?? ['localhost']) {
    const accounts = join(data, encoded(host), 'accounts')
    await mkdir(accounts, { recursive: true })
    for (const [user, password] of Object.entries(options.accounts ?? { romeo: 'secret', juliet: 'secret' })) {
      await writeFile(join(accounts, `${encoded(user)}.dat`), `return ${lua(credentials(password))};\n`)
    }
  }
  const config = join(folder, 'prosody.cfg.lua')
  await writeFile(config, configuration(data, ports, options))
  return config
}

/**
 * What SCRAM-SHA-1 (RFC 5802 section 3) keeps of a password. Few iterations, because @xmpp/client makes them in plain
 * JavaScript: with the usual 10,000 each login takes most of a second.
 */
function credentials(password: string): Setting {
  const salt = 'stanzagate'
  const iterations = 64
  const salted = pbkdf2Sync(password, salt, iterations, 20, 'sha1')
  const hmac = (text: string) => createHmac('sha1', salted).update(text).digest()
  return {
    stored_key: createHash('sha1').update(hmac('Client Key')).digest('hex'),
    server_key: hmac('Server Key').toString('hex'),
    salt,
    iteration_count: iterations,
  }
}

function configuration(data: string, ports: ProsodyPorts, options: ProsodyOptions): string {
  const open = (port: number | undefined) => (port === undefined ? [] : [port])
  const settings: Record<string, Setting> = {
    run_as_root: true, // which containers do; without effect for anybody else
    data_path: data,
    plugin_paths: [modules],
    // Below `info` Prosody logs what it receives.
    log: [{ levels: { min: 'info' }, to: 'console' }],
    network_settings: { nagle: false },
    interfaces: [address],
    local_interfaces: [address],
    c2s_ports: [ports.c2s],
    c2s_direct_tls_ports: open(ports.directTls),
    http_ports: open(ports.http),
    https_ports: [],
    component_ports: open(ports.component),
    modules_enabled: enabled(options),
    modules_disabled: ['s2s', 's2s_auth_certs'],
    authentication: 'internal_hashed',
    c2s_require_encryption: options.requireEncryption === true,
    allow_unencrypted_plain_auth: options.plain === true,
    disable_sasl_mechanisms: options.plain === true ? ['DIGEST-MD5'] : ['DIGEST-MD5', 'PLAIN'],
    allow_registration: options.registration === true,
    http_default_host: (options.hosts ?? ['localhost'])[0] ?? 'localhost',
    muc_room_locking: false,
    ...(options.stanzaSizeLimit !== undefined && { c2s_stanza_size_limit: options.stanzaSizeLimit }),
    ...(options.certificate && {
      ssl: { certificate: options.certificate.cert, key: options.certificate.key },
    }),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${lua(value)}`)
  if (options.settings !== undefined) lines.push(options.settings.replace('{c2s}', String(ports.c2s)))
  for (const host of options.hosts ?? ['localhost']) {
    lines.push(`VirtualHost ${lua(host)}`, `Component ${lua(`conference.${host}`)} "muc"`)
  }
  if (options.componentSecret !== undefined) {
    lines.push('Component "stranger.localhost"', `component_secret = ${lua(options.componentSecret)}`)
  }
  return `${lines.join('\n')}\n`
}

function enabled(options: ProsodyOptions): string[] {
  return [
    'roster',
    'saslauth',
    'disco',
    'ping',
    'time',
    'version',
    'private',
    'vcard_legacy',
    'pep',
    'blocklist',
    'carbons',
    'mam',
    'smacks',
    'csi_simple',
    'stanzagate_test',
    ...(options.certificate === undefined ? [] : ['tls']),
    ...(options.http === true ? ['websocket', 'bosh'] : []),
    ...(options.registration === true ? ['register'] : []),
    ...(options.modules ?? []),
  ]
}

type Setting = string | number | boolean | readonly Setting[] | { readonly [name: string]: Setting }

/** A value in Lua's words. Everything but plain ASCII goes as decimal bytes, so that no quotation mark can get out. */
function lua(value: Setting): string {
  if (typeof value === 'string') {
    const bytes = [...Buffer.from(value)]
    return `"${bytes.map(byte => (plainByte(byte) ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`)).join('')}"`
  }
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return `{ ${value.map(lua).join(', ')} }`
  return `{ ${Object.entries(value)
    .map(([name, inner]) => `${name} = ${lua(inner)}`)
    .join(', ')} }`
}

function plainByte(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
}

/** A name as Prosody's data manager spells it in a path. */
function encoded(name: string): string {
  const bytes = [...Buffer.from(name)]
  return bytes
    .map(byte => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
    })
    .join('')
}
