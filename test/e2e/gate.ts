/** The gate as it stands in the field: four listeners in front of a real Prosody, and clients of every kind for them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, client, type XmlElement, xml } from '@xmpp/client'
import WebSocket from 'ws'
import { defaultLimits, type Limits } from '../../src/config/limits.ts'
import type { Admin, Config, StoreConfig, Upstream } from '../../src/config/types.ts'
import type { Environment } from '../../src/gate.ts'
import { type Proxy as Running, startProxy } from '../../src/proxy.ts'
import type { Watcher } from '../../src/relay/watcher.ts'
import { Inbox } from '../clients/inbox.ts'
import { connectStarttls, connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { patience, within } from '../clients/within.ts'
import { type Certificate, writeCertificate } from '../servers/certificate.ts'
import { type Prosody, type ProsodyOptions, startProsody } from '../servers/prosody.ts'

Object.assign(globalThis, { WebSocket }) // Node 20 has none

export const wires = ['starttls', 'direct', 'ws', 'wss'] as const
export type WireName = (typeof wires)[number]

interface Teardowns {
  teardown(action: () => unknown): unknown
}

export interface GateOptions {
  /** Where the gate finds it; default: the Prosody's plain port. */
  readonly upstream?: Partial<Upstream>
  readonly rules?: Partial<Config['rules']>
  readonly origins?: readonly string[]
  readonly limits?: Partial<Limits>
  readonly watchers?: readonly Watcher[]
  readonly senses?: Partial<Environment>
  readonly store?: StoreConfig
  /** Beside that of localhost. */
  readonly routes?: Config['routes']
  readonly admin?: Partial<Admin>
}

/** A certificate for localhost, in a folder of its own. */
export async function makeCertificate(t: Teardowns): Promise<Certificate> {
  const folder = mkdtempSync(join(tmpdir(), 'stanzagate-e2e-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return writeCertificate(folder, ['localhost'])
}

export async function makeProsody(t: Teardowns, options: ProsodyOptions): Promise<Prosody> {
  const prosody = await startProsody({ plain: true, ...options })
  t.teardown(() => prosody.stop())
  return prosody
}

export class Gate {
  readonly proxy: Running
  private readonly certificate: Certificate

  private readonly token: string | undefined

  private constructor(proxy: Running, certificate: Certificate, token: string | undefined) {
    this.proxy = proxy
    this.certificate = certificate
    this.token = token
  }

  static async start(
    t: Teardowns,
    certificate: Certificate,
    prosody: Pick<Prosody, 'address' | 'port'>,
    options: GateOptions = {},
  ): Promise<Gate> {
    const { address, port } = prosody
    const tls = { mode: 'none', ca: undefined, servername: undefined } as const
    const at = { address: '127.0.0.1', port: 0 } as const
    const websocket = { kind: 'websocket', path: '/xmpp-websocket', origins: options.origins, ...at } as const
    const proxy = await startProxy(
      {
        listeners: [
          { kind: 'tcp', name: 'plain', tls: { mode: 'none' }, ...at },
          { kind: 'tcp', name: 'starttls', tls: { mode: 'starttls', ...certificate }, ...at },
          { kind: 'tcp', name: 'direct', tls: { mode: 'direct', ...certificate }, ...at },
          { ...websocket, name: 'ws', tls: undefined },
          { ...websocket, name: 'wss', tls: certificate },
        ],
        admin: { token: undefined, ...at, ...options.admin },
        upstreams: new Map([['main', { name: 'main', address, port, tls, ...options.upstream }]]),
        routes: [{ domain: 'localhost', upstream: 'main' }, ...(options.routes ?? [])],
        rules: { default: 'enforce', modes: new Map(), trustedDomains: [], ...options.rules },
        limits: { ...defaultLimits, ...options.limits },
        ...(options.store && { store: options.store }),
        log: { level: 'silent' },
      },
      options.watchers,
      options.senses,
    )
    t.teardown(() => proxy.stop())
    return new Gate(proxy, certificate, options.admin?.token)
  }

  port(listener: WireName | 'plain'): number {
    return this.proxy.listeners.find(bound => bound.name === listener)?.port ?? 0
  }

  get ca(): string {
    return readFileSync(this.certificate.cert, 'utf8')
  }

  url(wire: 'ws' | 'wss'): string {
    return `${wire}://localhost:${this.port(wire)}/xmpp-websocket`
  }

  /** Connected, with TLS where the listener has it, and nothing said yet. */
  connect(wire: WireName | 'plain'): Promise<RawClient> {
    const { ca } = this
    const port = this.port(wire)
    switch (wire) {
      case 'plain':
        return connectTcp(port)
      case 'starttls':
        return connectStarttls(port, { ca })
      case 'direct':
        return connectTcp(port, { ca, alpn: ['xmpp-client'] })
      case 'ws':
      case 'wss':
        return connectWebsocket(this.url(wire), { ca })
    }
  }

  async login(wire: WireName | 'plain', user: string, resource: string): Promise<RawClient> {
    return (await this.connect(wire)).login(user, resource)
  }

  async metrics(): Promise<Counts> {
    const { token } = this
    const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    const response = await fetch(`http://127.0.0.1:${this.proxy.admin?.port}/metrics`, { headers })
    return new Counts(await response.text())
  }

  /** Asks again until the counts are as wanted: for what no client can see. */
  async counted(what: string, isWanted: (counts: Counts) => boolean): Promise<Counts> {
    const until = performance.now() + patience
    for (;;) {
      const counts = await this.metrics()
      if (isWanted(counts)) return counts
      if (performance.now() > until) throw new Error(`${what}: not within ${patience} ms\n${counts.text}`)
    }
  }
}

/** A scrape. */
export class Counts {
  readonly text: string
  private readonly series: { name: string; labels: Map<string, string>; value: number }[] = []

  constructor(text: string) {
    this.text = text
    for (const [, name = '', labels = '', value] of text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', word = '']) => [key, word] as const)
      this.series.push({ name, labels: new Map(pairs), value: Number(value) })
    }
  }

  /** The sum of all series of a metric that bear these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.series
      .filter(one => one.name === `stanzagate_${name}`)
      .filter(one => Object.entries(labels).every(([key, value]) => one.labels.get(key) === value))
      .reduce((total, one) => total + one.value, 0)
  }

  /** What each rule said since an earlier scrape: `rule mode verdict` to number. */
  rulesSince(before: Counts): Record<string, number> {
    const said: Record<string, number> = {}
    for (const { name, labels } of this.series) {
      if (name !== 'stanzagate_rule_decisions_total') continue
      const { rule = '', mode = '', verdict = '', from = '' } = Object.fromEntries(labels)
      const more = [this, before].map(counts => counts.sum('rule_decisions_total', { rule, mode, verdict, from }))
      if (more[0] !== more[1]) said[`${rule} ${mode} ${verdict}`] = (more[0] ?? 0) - (more[1] ?? 0)
    }
    return said
  }
}

/** @xmpp/client, and what it was sent once it was online. */
export interface LibraryClient {
  readonly entity: Client
  readonly jid: string
  readonly inbox: Inbox<XmlElement>
  readonly said: string[]
}

export async function libraryLogin(t: Teardowns, service: string, user: string): Promise<LibraryClient> {
  const entity = client({ service, domain: 'localhost', username: user, password: 'secret' })
  entity.reconnect.stop()
  const said: string[] = []
  const inbox = new Inbox<XmlElement>(String)
  entity.on('error', () => {}) // what start() rejects with, or the end of the server
  entity.on('send', (element: XmlElement) => said.push(String(element)))
  entity.on('stanza', (stanza: XmlElement) => inbox.push(stanza))
  t.teardown(() => entity.stop().catch(() => {})) // may be closed already
  const jid = await within(`the login of ${user} at ${service}`, entity.start())
  return { entity, jid: String(jid), inbox, said }
}

export function presenceOf(type: string | undefined, from: string): (stanza: XmlElement) => boolean {
  return stanza => stanza.name === 'presence' && stanza.attrs.type === type && stanza.attrs.from === from
}

/** Puts a roster into Prosody's storage, for an account that has not logged in yet. */
export async function writeRoster(
  prosody: Prosody,
  user: string,
  items: Readonly<Record<string, string>>,
): Promise<void> {
  const lines = Object.entries(items).map(([jid, state]) => {
    const [subscription, ask] = state.split('+')
    return `[${JSON.stringify(jid)}] = { subscription = "${subscription}"; ${ask ? 'ask = "subscribe"; ' : ''}groups = {}; };`
  })
  const folder = join(prosody.folder, 'data', 'localhost', 'roster')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${user}.dat`), `return { [false] = { version = 1; }; ${lines.join('\n')} };\n`)
}

export async function rosterOf({ entity }: LibraryClient): Promise<XmlElement[]> {
  const answer = await entity.iqCaller.request(xml('iq', { type: 'get' }, xml('query', { xmlns: 'jabber:iq:roster' })))
  return answer.getChild('query')?.getChildren('item') ?? []
}
