/**
 * A session to which anything happens: mostly a polite login, and between its steps and after it whatever a list of numbers chooses.
 * The world keeps its promises: what is dialled connects or is refused, and only what is open is closed.
 */
import { defaultLimits } from '../../src/config/limits.ts'
import { activeRules } from '../../src/rules/all-rules.ts'
import type { Effect, SessionEvent } from '../../src/session/event.ts'
import type { Report } from '../../src/session/report.ts'
import { Session } from '../../src/session/session.ts'
import { type Kind, kindOf } from '../../src/stanza/stanza.ts'
import type { Side, StreamItem } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { element } from '../../src/xml/element.ts'

type Tell = (report: Report, route: string | undefined) => void

export interface Play {
  /** A stanza was written to this side, because of what came from `by`. */
  sent?(to: Side, kind: Kind, route: string | undefined, by: Side | undefined): void
  /** After the login there is no quiet, but stanzas of every fate. */
  readonly chatty?: boolean
  readonly mode?: 'enforce' | 'observe'
}

const bind = element('bind', ns.bind, {}, [element('jid', ns.bind, {}, ['juliet@im.example/balcony'])])
const login: readonly SessionEvent[] = [
  open('client'),
  { event: 'connected' },
  open('upstream'),
  nonza('upstream', 'features', ns.stream),
  nonza('client', 'auth', ns.sasl),
  nonza('upstream', 'success', ns.sasl),
  open('client'),
  open('upstream'),
  nonza('upstream', 'features', ns.stream),
  stanza('client', 'iq', { type: 'set', id: 'b1' }, [element('bind', ns.bind)]),
  stanza('upstream', 'iq', { type: 'result', id: 'b1' }, [bind]),
]
const anything: readonly SessionEvent[] = [
  ...login,
  { event: 'refused', reason: 'timeout' },
  { event: 'closed', side: 'client' },
  { event: 'closed', side: 'upstream' },
  { event: 'stop', within: 5_000 },
  { event: 'shed' },
  { event: 'deadline' },
  { event: 'item', from: 'client', item: { item: 'close' } },
  { event: 'item', from: 'upstream', item: { item: 'close' } },
  { event: 'item', from: 'client', item: { item: 'error', condition: 'not-well-formed' } },
  { event: 'item', from: 'upstream', item: { item: 'error', condition: 'not-well-formed' } },
  nonza('client', 'error', ns.stream),
  nonza('upstream', 'error', ns.stream),
  stanza('client', 'presence', { type: 'subscribe', to: 'nurse@im.example' }),
  stanza('client', 'presence', { from: 'tybalt@im.example' }),
  stanza('upstream', 'presence', { type: 'subscribed', from: 'nurse@im.example' }),
]

const strangers = 'tybalt@elsewhere.example/street'
const chatter: readonly SessionEvent[] = [
  stanza('client', 'message', { to: 'nurse@im.example' }),
  stanza('upstream', 'message', { from: strangers }),
  stanza('client', 'presence', { type: 'subscribe', to: 'nurse@im.example' }),
  stanza('client', 'presence', { type: 'bogus', id: 'p' }),
  stanza('client', 'presence', { type: 'error' }, [element('show', ns.client), element('show', ns.client)]),
  stanza('client', 'iq', { type: 'get', id: 'r' }, [element('query', ns.roster)]),
  stanza('client', 'iq', { type: 'set', id: 's', to: 'juliet@im.example' }, [element('query', ns.roster)]),
  stanza('client', 'iq', { type: 'set', id: 'b2' }, [element('bind', ns.bind)]),
  stanza('upstream', 'iq', { type: 'result', id: 'r' }, [element('query', ns.roster)]),
  stanza('upstream', 'iq', { type: 'result', id: 'never', from: strangers }),
  stanza('upstream', 'iq', { type: 'set', id: 'p', from: strangers }, [element('query', ns.roster)]),
  stanza('upstream', 'presence', { type: 'subscribed', from: strangers }),
  stanza('upstream', 'presence', { type: 'subscribe', from: strangers }),
  nonza('upstream', 'message', ns.stream),
]

/** Plays; the function returned ends what is still open, as the gate's stop does. */
export function playAtRandom(choices: readonly number[], tell: Tell, play: Play = {}): () => void {
  const world = new World(tell, play)
  let polite = 0
  for (const choice of choices) {
    // Before the login is through, one thing in sixteen comes between.
    const step = choice % 16 === 0 ? undefined : login[polite]
    if (step !== undefined) polite++
    else if (polite === login.length && choice % 8 !== 0 && play.chatty === true) {
      world.happens(chatter[choice % chatter.length] as SessionEvent)
      continue
    }
    // After it, there is a lot of quiet.
    else if (polite === login.length && choice % 8 !== 0) continue
    world.happens(step ?? (anything[Math.floor(choice / 16) % anything.length] as SessionEvent))
  }
  return () => world.end()
}

class World {
  private readonly tell: Tell
  private readonly open = new Set<Side>(['client'])
  private readonly session: Session
  private readonly play: Play
  private dialled = false
  private by: Side | undefined

  constructor(tell: Tell, play: Play) {
    this.tell = tell
    this.play = play
    this.session = new Session(
      {
        starttls: false,
        rules: activeRules({ default: play.mode ?? 'enforce', modes: new Map() }),
        trustedDomains: new Set(),
        // So that there is a rule that ends streams.
        foreignFrom: 'close',
        maxBytes: { beforeLogin: 10_000, client: 10_000 },
        times: defaultLimits.times,
        loginFailures: 5,
        isCrowded: () => false,
        newStreamId: () => 'id',
        destinationOf: () => ({ route: 'im.example', upstream: 'main', starttls: false }),
      },
      0,
    )
    this.tell({ report: 'stream-opened', side: 'client' }, undefined)
  }

  happens(event: SessionEvent): void {
    if (this.session.over || !this.isPossible(event)) return
    if (event.event === 'closed') this.open.delete(event.side)
    if (event.event === 'connected') this.open.add('upstream')
    if (event.event === 'connected' || event.event === 'refused') this.dialled = false
    this.by = event.event === 'item' ? event.from : undefined
    for (const effect of this.session.receive(event, 0)) this.perform(effect)
  }

  end(): void {
    this.happens({ event: 'stop', within: 5_000 })
    this.happens({ event: 'refused', reason: 'timeout' })
    for (const side of ['client', 'upstream'] as const) this.happens({ event: 'closed', side })
  }

  private isPossible(event: SessionEvent): boolean {
    switch (event.event) {
      case 'connected':
      case 'refused':
        return this.dialled
      case 'item':
        return this.open.has(event.from)
      case 'closed':
        return this.open.has(event.side)
      default:
        return true
    }
  }

  private watch(to: Side, item: StreamItem): void {
    const kind = item.item === 'element' ? kindOf(item.element) : undefined
    if (kind !== undefined) this.play.sent?.(to, kind, this.session.route, this.by)
  }

  private perform(effect: Effect): void {
    if (effect.effect === 'report') this.tell(effect.report, this.session.route)
    else if (effect.effect === 'send') this.watch(effect.to, effect.item)
    else if (effect.effect === 'connect') this.dialled = true
    else if (effect.effect === 'join-account')
      this.happens({ event: 'account-joined', snapshot: { snapshot: undefined, live: false } })
  }
}

function open(from: Side): SessionEvent {
  const header = new Map([
    ['to', 'im.example'],
    ['version', '1.0'],
  ])
  return { event: 'item', from, item: { item: 'open', header } }
}

function nonza(from: Side, name: string, uri: string): SessionEvent {
  return { event: 'item', from, item: { item: 'element', element: element(name, uri) } }
}

function stanza(
  from: Side,
  name: string,
  attrs: Record<string, string>,
  children: ReturnType<typeof element>[] = [],
): SessionEvent {
  return { event: 'item', from, item: { item: 'element', element: element(name, ns.client, attrs, children) } }
}
