/** A gate with a console in front of a real Prosody, clients that give it something to show, and a real browser that looks. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { defaultLimits } from '../../src/config/limits.ts'
import type { Config } from '../../src/config/types.ts'
import { type Proxy as Running, startProxy } from '../../src/proxy.ts'
import { connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { patience } from '../clients/within.ts'
import { makeProsody } from '../e2e/gate.ts'
import { makeLine } from '../servers/line.ts'
import type { Prosody } from '../servers/prosody.ts'

interface Teardowns {
  teardown(action: () => unknown): unknown
}

export const token = 'a-token-for-the-console'
export const victim = 'juliet@localhost'
export const stranger = 'tybalt@capulet.example'

export interface Stage {
  readonly prosody: Prosody
  readonly proxy: Running
  /** Of the admin listener, by way of a line that can be cut. */
  readonly url: string
  /** Ends what is under way, and lets nothing through until `mend`. */
  cut(): void
  mend(): void
  login(listener: 'clients' | 'web', user: string, resource: string): Promise<RawClient>
}

export async function makeStage(t: Teardowns, settings: Partial<Config> = {}): Promise<Stage> {
  const secret = 'secret'
  const prosody = await makeProsody(t, { accounts: { romeo: secret, juliet: secret, nurse: secret, benvolio: secret } })
  const at = { address: '127.0.0.1', port: 0 } as const
  const tls = { mode: 'none', ca: undefined, servername: undefined } as const
  const { address, port } = prosody
  const nowhere = { name: 'standby', address: '127.0.0.1', port: 1, tls }
  const proxy = await startProxy({
    listeners: [
      { kind: 'tcp', name: 'clients', tls: { mode: 'none' }, ...at },
      { kind: 'websocket', name: 'web', path: '/xmpp-websocket', origins: undefined, tls: undefined, ...at },
    ],
    admin: { token, ...at },
    upstreams: new Map([
      ['main', { name: 'main', address, port, tls }],
      ['standby', nowhere],
    ]),
    routes: [
      { domain: 'localhost', upstream: 'main' },
      { domain: 'old.example', upstream: 'standby' },
    ],
    rules: { default: 'enforce', modes: new Map([['roster-set-one-item', 'observe']]), trustedDomains: [] },
    limits: defaultLimits,
    log: { level: 'silent' },
    ...settings,
  })
  t.teardown(() => proxy.stop())
  const portOf = (name: string) => proxy.listeners.find(bound => bound.name === name)?.port ?? 0
  const { port: line, ...ends } = await makeLine(t, proxy.admin?.port ?? 0)
  return {
    prosody,
    proxy,
    ...ends,
    url: `http://127.0.0.1:${line}`,
    login: async (listener, user, resource) => {
      const url = `ws://127.0.0.1:${portOf('web')}/xmpp-websocket`
      const client = await (listener === 'web' ? connectWebsocket(url) : connectTcp(portOf('clients')))
      return client.login(user, resource)
    },
  }
}

/** One asks, and the other approves. */
export async function subscribe(from: RawClient, to: RawClient): Promise<void> {
  const [asking, asked] = [from, to].map(({ jid }) => jid.split('/')[0])
  from.send(`<presence xmlns='jabber:client' to='${asked}' type='subscribe'/>`)
  await to.element('the request', ({ attrs }) => attrs.get('type') === 'subscribe')
  to.send(`<presence xmlns='jabber:client' to='${asking}' type='subscribed'/>`)
  await from.element('the approval', ({ attrs }) => attrs.get('type') === 'subscribed')
}

/** Debian's Chromium; whatever a page does wrong, or asks of anybody but the gate, is told. */
export async function makeBrowser(t: Teardowns): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
  t.teardown(() => browser.close())
  return browser
}

/** `faults`: what it complains of, and requests to anybody else than the gate. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; faults: string[] }> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  const faults: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) faults.push(message.text())
  })
  page.on('pageerror', error => faults.push(String(error)))
  page.on('request', request => {
    if (!request.url().startsWith(url)) faults.push(`request to ${request.url()}`)
  })
  return { page, faults }
}

export async function logIn(page: Page, url: string, given = token): Promise<void> {
  await page.goto(`${url}/console`)
  await page.getByLabel('Admin token').fill(given)
  await page.getByRole('button', { name: 'Log in' }).click()
}
