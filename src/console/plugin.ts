/**
 * The console as a Fastify plugin: its page, how one logs in to it, and the API that it and others ask. It changes nothing, but for what the operator
 * decides about requests that are held.
 */
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Decided, type Decision, decisions } from '../account/account-requests.ts'
import type { AccountView } from '../account/accounts.ts'
import type { HeldRequest } from '../account/held-requests.ts'
import { type Access, cookieOf } from '../admin/access.ts'
import { onlyJidOf } from '../admin/jid-pattern.ts'
import { sendProblem } from '../admin/problem.ts'
import { isProblem, type Parameter, readQuery } from '../admin/query.ts'
import { Refusals } from '../admin/refusals.ts'
import { securityHeaders } from '../admin/security-headers.ts'
import type { RulesConfig } from '../config/types.ts'
import { stateLabel } from '../observe/metric-definitions.ts'
import type { SessionView } from '../relay/watcher.ts'
import { bareOf, foldBare } from '../stanza/jid.ts'
import { page, serveAssets } from './assets.ts'
import { serveEvents } from './event-stream.ts'
import { explained } from './explain-request.ts'
import { eventParameters, type LiveEvents } from './live-events.ts'
import type { Overview } from './overview.ts'
import { choiceOf, chosenOf, heldRow, quarantinePage, quarantineParameters } from './quarantine.ts'
import { type Names, sessionPage, sessionParameters } from './sessions.ts'

export interface ConsoleOptions {
  readonly access: Access
  readonly liveEvents: LiveEvents
  readonly rules: RulesConfig
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>
  /** Milliseconds between two keepalives to a viewer of the live events; default: 15 s. */
  readonly heartbeat?: number
  readonly names: Names
  /** For the wrong tokens of programs; milliseconds, from any beginning. */
  readonly now?: () => number
  overview(): Promise<Overview>
  sessions(): Iterable<SessionView>
  known(account: string): AccountView | undefined
  /** Requests of strangers that are held. Left out: none are. */
  readonly quarantine?: QuarantineDesk | undefined
  /** A request had no right token. */
  refused(): void
}

/** What the operator sees of requests that are held, and what he may do. Accounts and strangers are named by their folded bare JIDs. */
export interface QuarantineDesk {
  /** They may be released and denied. */
  readonly mayDecide: boolean
  /** The texts that strangers have written are shown. */
  readonly withTexts: boolean
  /** Resolves when what is kept of an account's requests is known. */
  recall(account: string): Promise<void>
  heldFor(account: string): Iterable<HeldRequest>
  deniedFor(account: string): Iterable<readonly [contact: string, decided: Decided]>
  held(): Iterable<readonly [account: string, request: HeldRequest]>
  /** Resolves when it is kept, or cannot be. */
  decide(decision: Decision, requests: readonly (readonly [account: string, contact: string])[]): Promise<void>
}

export async function consolePlugin(app: FastifyInstance, options: ConsoleOptions): Promise<void> {
  const { access } = options
  app.addHook('onSend', async (_request, reply) => void reply.headers(securityHeaders))
  app.setErrorHandler((error: FastifyError, { routeOptions }, reply) => {
    const { statusCode: status = 500, message } = error
    if (status >= 500) options.log.error({ err: error }, 'the console failed')
    if (status === 413)
      return sendProblem(reply, { status, detail: `no more than ${routeOptions.bodyLimit} bytes are taken here` })
    return sendProblem(reply, { status, detail: status >= 500 ? 'see the log' : message })
  })
  const refusals = new Refusals(options)
  serveAssets(app)
  servePage(app, access)
  serveLogin(app, options, refusals)
  await app.register(async api => {
    api.addHook('onRequest', async (request, reply) => {
      const admitted = access.admits(request)
      if (admitted !== 'yes') return refusals.answer(request, reply, admitted)
    })
    serveApi(api, options)
    serveQuarantine(api, options, refusals)
  })
}

function servePage(app: FastifyInstance, access: Access): void {
  const index = page('index.html')
  app.get('/', async (_request, reply) => reply.redirect('/console'))
  app.get('/console', async (request, reply) => {
    const admitted = access.admits(request)
    if (admitted === 'no') return reply.redirect('/console/login')
    if (admitted === 'foreign')
      return sendProblem(reply, { status: 403, detail: 'ask by the name of the listener itself' })
    return reply.type('text/html; charset=utf-8').send(index)
  })
}

const complaints = {
  wrong: 'That is not the token.',
  later: 'Too many wrong tokens: wait a minute.',
  over: 'Your login has ended: the gate was restarted since, or you were logged out elsewhere. Log in again.',
  foreign: 'The token was not sent from this page.',
} as const

function serveLogin(app: FastifyInstance, { access, log }: ConsoleOptions, refusals: Refusals): void {
  const form = page('login.html')
  const show = (reply: FastifyReply, complaint = '') =>
    reply.type('text/html; charset=utf-8').send(form.replace('<!-- complaint -->', complaint))
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 8_192 },
    (_request, body, done) => done(null, new URLSearchParams(body as string)),
  )
  app.get('/console/login', async (request, reply) => {
    if (!access.isGuarded) return reply.redirect('/console')
    return show(reply, access.isLoginOver(request) ? complaints.over : '')
  })
  app.post('/console/login', async (request, reply) => {
    if (isForeign(request)) return show(reply.code(403), complaints.foreign)
    const given = request.body instanceof URLSearchParams ? (request.body.get('token') ?? '') : ''
    const login = access.login(given.trim(), request.ip)
    if (typeof login === 'string') {
      refusals.login(request, login)
      return show(reply.code(login === 'wrong' ? 401 : 429), complaints[login])
    }
    log.info({ address: request.ip }, 'login')
    return reply.header('set-cookie', cookieOf(request, login.id)).redirect('/console', 303)
  })
  app.post('/console/logout', async (request, reply) => {
    if (isForeign(request)) return show(reply.code(403), complaints.foreign)
    access.logout(request)
    return reply.header('set-cookie', cookieOf(request, '')).redirect('/console/login', 303)
  })
}

/** A form of another site's page that would log a browser in or out. */
function isForeign({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  return site !== undefined && site !== 'same-origin'
}

/** Bytes of a question: the process does nothing else while it is answered. */
const explainAtMost = 65_536

function serveApi(app: FastifyInstance, options: ConsoleOptions): void {
  const { access, liveEvents, heartbeat = 15_000 } = options
  app.get('/api/overview', async (request, reply) => {
    if (asksMore(request, reply, {})) return reply
    return options.overview()
  })
  app.get('/api/sessions', async (request, reply) => {
    const query = readQuery(request.query, sessionParameters(options.names))
    return isProblem(query) ? sendProblem(reply, query) : sessionPage(options.sessions(), query)
  })
  app.get('/api/accounts/*', async (request, reply) => {
    if (asksMore(request, reply, {})) return reply
    const asked = (request.params as Readonly<Record<string, string>>)['*'] ?? ''
    const account = foldBare(bareOf(asked))
    if (account === undefined)
      return sendProblem(reply, { status: 400, detail: 'the account is no JID; write one as romeo@im.example' })
    await options.quarantine?.recall(account)
    const known = options.known(account)
    const requests = requestsOf(account, options.quarantine)
    if (
      requests.quarantine.length === 0 &&
      requests.denied.length === 0 &&
      (known === undefined || (known.sessions === 0 && !known.complete))
    )
      return sendProblem(reply, { status: 404, detail: `nothing is known of ${account}: it has not been here lately` })
    return { ...accountOf(account, known ?? unseen), ...requests }
  })
  app.get('/api/events', { exposeHeadRoute: false }, async (request, reply) => {
    const query = readQuery(request.query, eventParameters)
    if (isProblem(query)) return sendProblem(reply, query)
    const after = request.headers['last-event-id']?.toString()
    const isAdmitted = () => access.admits(request) === 'yes'
    const whenEnded = (check: () => void) => access.whenEnded(check)
    const viewer = { liveEvents, query, after, headers: securityHeaders, heartbeat, isAdmitted, whenEnded }
    if (serveEvents(reply, viewer)) return reply
    return sendProblem(reply.header('retry-after', '10'), {
      status: 503,
      detail: 'too many look at the events already',
    })
  })
  app.post('/api/explain', { bodyLimit: explainAtMost }, async (request, reply) => {
    const answer = explained(request.body, options.rules)
    return 'status' in answer ? sendProblem(reply, answer) : answer
  })
  app.get('/api/*', async (_request, reply) =>
    sendProblem(reply, { status: 404, detail: 'there is no such thing here' }),
  )
}

/** Bytes of two JIDs with what is round them. */
const choiceAtMost = 16_384

function serveQuarantine(
  app: FastifyInstance,
  { access, quarantine: desk, log }: ConsoleOptions,
  refusals: Refusals,
): void {
  app.get('/api/quarantine', async (request, reply) => {
    const query = readQuery(request.query, quarantineParameters)
    if (isProblem(query)) return sendProblem(reply, query)
    const source = { held: () => desk?.held() ?? [], withTexts: desk?.withTexts === true }
    return { mayDecide: desk?.mayDecide === true && access.isGuarded, ...quarantinePage(source, query) }
  })
  for (const decision of decisions)
    app.post(`/api/quarantine/${decision}`, { bodyLimit: choiceAtMost }, async (request, reply) => {
      if (desk === undefined || !desk.mayDecide) return sendProblem(reply, { status: 403, detail: unwritable(desk) })
      const admitted = access.admitsWrite(request)
      if (admitted !== 'yes') return refusals.answer(request, reply, admitted)
      if (asksMore(request, reply, {})) return reply
      const choice = choiceOf(request.body)
      if ('status' in choice) return sendProblem(reply, choice)
      const account = onlyJidOf(choice.account)
      if (account !== undefined) await desk.recall(account)
      const chosen = chosenOf(choice, () => desk.held())
      await desk.decide(decision, chosen)
      log.info(
        { ...choice, decision, requests: chosen.length, address: request.ip },
        'requests of strangers are decided',
      )
      return { decision, requests: chosen.length }
    })
}

function unwritable(desk: QuarantineDesk | undefined): string {
  if (desk === undefined) return 'no requests are held: the configuration has no limits.pendingRequests'
  return 'this may not be done here: the configuration has no admin.write'
}

/** A parameter where none is taken is refused: it is a mistake. */
function asksMore(request: FastifyRequest, reply: FastifyReply, known: Readonly<Record<string, Parameter>>): boolean {
  const query = readQuery(request.query, known)
  if (!isProblem(query)) return false
  sendProblem(reply, query)
  return true
}

/** ISO 8601, UTC; null: not known. */
function timeOf(since: number | undefined): string | null {
  return since === undefined ? null : new Date(since).toISOString()
}

const unseen: AccountView = {
  sessions: 0,
  complete: false,
  live: false,
  contacts: [],
  requests: [],
  unacknowledged: [],
}

function requestsOf(account: string, desk: QuarantineDesk | undefined) {
  const held = [...(desk?.heldFor(account) ?? [])]
  const denied = [...(desk?.deniedFor(account) ?? [])]
  return {
    quarantine: held.map(request => heldRow(request, desk?.withTexts === true)),
    denied: denied.map(([contact, { since }]) => ({ contact, since: timeOf(since) })),
  }
}

function accountOf(account: string, { sessions, complete, live, contacts, requests, unacknowledged }: AccountView) {
  const shown = contacts.map(({ contact, state, since }) => ({
    contact,
    state: stateLabel(state),
    since: timeOf(since),
  }))
  const waiting = requests.map(({ contact, since }) => ({ contact, since: timeOf(since) }))
  const roster = complete ? (live ? 'live' : 'remembered') : 'unseen'
  const delivered = unacknowledged.map(({ type, contact, since }) => ({ type, contact, since: timeOf(since) }))
  return { account, sessions, roster, contacts: shown, requests: waiting, unacknowledged: delivered }
}
