// What a throwaway ejabberd is told.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { address } from './prosody-config.ts'

export interface EjabberdOptions {
  /** Virtual hosts; default `localhost`. */
  readonly hosts?: readonly string[]
  /** Password by user name; every account exists on every virtual host. Default: romeo and juliet, both with `secret`. */
  readonly accounts?: Readonly<Record<string, string>>
  /**
   * Iterations of SCRAM-SHA-1; default 64, because @xmpp/client makes them in plain JavaScript and 4096, ejabberd's own
   * number, take it 0.3 s at each login. Fewer than 4096 are refused by strophe.js.
   */
  readonly iterations?: number
  /** Offers SASL PLAIN too, also where there is no TLS; without it SCRAM only. */
  readonly plain?: boolean
  /** Paths of PEM files. With them STARTTLS is offered on the c2s port, and there is a direct TLS port. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  /** No login on the c2s port without TLS. */
  readonly requireEncryption?: boolean
  /** Opens an HTTP port with ejabberd's own WebSocket (`/xmpp-websocket`) and BOSH (`/http-bind`). */
  readonly http?: boolean
  /** Lets clients register accounts (XEP-0077). */
  readonly registration?: boolean
  /** Has groups whose members see each other (mod_shared_roster). */
  readonly sharedRoster?: boolean
  /** Opens a component port (XEP-0114) where `stranger.localhost` may connect with this secret. */
  readonly componentSecret?: string
  /** Opens a second c2s port, without TLS, where every connection has to begin with a PROXY protocol header. */
  readonly proxyProtocol?: boolean
  /** Settings of that second port, in the place of the usual ones; its port and address are the test's. */
  readonly proxiedListener?: Readonly<Record<string, Setting>>
}

/** `undefined`: not opened. */
export interface EjabberdPorts {
  readonly c2s: number
  readonly directTls: number | undefined
  readonly http: number | undefined
  readonly component: number | undefined
  readonly proxied: number | undefined
}

/** The names of the ports that these options ask for. */
export function portsWanted(options: EjabberdOptions): (keyof EjabberdPorts)[] {
  return [
    'c2s',
    ...(options.certificate === undefined ? [] : ['directTls' as const]),
    ...(options.http === true ? ['http' as const] : []),
    ...(options.componentSecret === undefined ? [] : ['component' as const]),
    ...(options.proxyProtocol === true ? ['proxied' as const] : []),
  ]
}

export function hostsOf(options: EjabberdOptions): readonly string[] {
  return options.hosts ?? ['localhost']
}

/** The accounts' full list, as `[bare JID, password]`. */
export function accountsOf(options: EjabberdOptions): [string, string][] {
  const accounts = Object.entries(options.accounts ?? { romeo: 'secret', juliet: 'secret' })
  return hostsOf(options).flatMap(host =>
    accounts.map(([user, password]): [string, string] => [`${user}@${host}`, password]),
  )
}

/** The environment of the Erlang VM, and with it where everything in `folder` is. */
export async function writeEjabberdFiles(
  folder: string,
  ports: EjabberdPorts,
  options: EjabberdOptions,
): Promise<Record<string, string>> {
  const config = join(folder, 'ejabberd.yml')
  const resolver = join(folder, 'inetrc')
  await mkdir(join(folder, 'mnesia'))
  // JSON is YAML.
  await writeFile(config, JSON.stringify(configuration(ports, options), null, 1))
  // No name is ever looked up, so none can keep a test waiting.
  await writeFile(resolver, '{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n')
  return {
    HOME: folder,
    EJABBERD_CONFIG_PATH: config,
    EJABBERD_LOG_PATH: join(folder, 'ejabberd.log'),
    ERL_INETRC: resolver,
    ERL_CRASH_DUMP_SECONDS: '0', // none is written
    ERL_LIBS: await libraries(),
  }
}

/** The directory that holds ejabberd's own directory: it has the machine's architecture in its name. */
async function libraries(): Promise<string> {
  const script = await readFile('/usr/sbin/ejabberdctl', 'utf8').catch(error => {
    throw new Error(`cannot find ejabberd (${error.message}); the Debian package ejabberd has to be installed`)
  })
  const [, directory] = /^ERL_LIBS='?([^'\n]+)'?$/m.exec(script) ?? []
  if (directory === undefined) throw new Error('/usr/sbin/ejabberdctl does not name ERL_LIBS')
  return directory
}

function configuration(ports: EjabberdPorts, options: EjabberdOptions): Setting {
  const { certificate } = options
  return {
    hosts: hostsOf(options),
    loglevel: 'info',
    listen: listeners(ports, options),
    auth_method: ['mnesia'],
    auth_password_format: 'scram',
    disable_sasl_mechanisms: ['DIGEST-MD5', 'X-OAUTH2', ...(options.plain === true ? [] : ['PLAIN'])],
    s2s_access: 'none',
    acme: { auto: false },
    ...(certificate && { certfiles: [certificate.cert, certificate.key] }),
    modules: modules(options),
  }
}

function listeners(ports: EjabberdPorts, options: EjabberdOptions): Setting[] {
  const listener = (port: number | undefined, module: string, more: Record<string, Setting> = {}) =>
    port === undefined ? [] : [{ port, ip: address, module, ...more }]
  const starttls = options.certificate && { starttls: true, starttls_required: options.requireEncryption === true }
  return [
    ...listener(ports.c2s, 'ejabberd_c2s', starttls),
    ...listener(ports.directTls, 'ejabberd_c2s', { tls: true }),
    ...listener(ports.proxied, 'ejabberd_c2s', options.proxiedListener ?? { use_proxy_protocol: true }),
    ...listener(ports.http, 'ejabberd_http', {
      request_handlers: { '/xmpp-websocket': 'ejabberd_http_ws', '/http-bind': 'mod_bosh' },
    }),
    ...listener(ports.component, 'ejabberd_service', {
      hosts: { 'stranger.localhost': { password: options.componentSecret ?? '' } },
    }),
  ]
}

function modules(options: EjabberdOptions): Setting {
  return {
    mod_blocking: {},
    mod_caps: {},
    mod_carboncopy: {},
    mod_client_state: {},
    mod_disco: {},
    mod_last: {},
    mod_mam: { assume_mam_usage: true, default: 'always' },
    mod_muc: { default_room_options: { mam: false } },
    mod_offline: {},
    mod_ping: {},
    mod_privacy: {},
    mod_private: {},
    mod_pubsub: { plugins: ['flat', 'pep'] },
    mod_roster: { versioning: true, store_current_id: true },
    mod_stream_mgmt: {},
    mod_time: {},
    mod_vcard: {},
    mod_version: { show_os: false },
    ...(options.http === true && { mod_bosh: {} }),
    ...(options.sharedRoster === true && { mod_shared_roster: {} }),
    ...(options.registration === true && { mod_register: {} }),
  }
}

type Setting = string | number | boolean | readonly Setting[] | { readonly [name: string]: Setting }
