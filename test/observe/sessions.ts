/**
 * A session to which anything happens: mostly a polite login, and between its steps and after it whatever a list of numbers chooses.
 * The world keeps its promises: what is dialled connects or is refused, and only what is open is closed.
 */
import { defaultLimits } from '../../src/config/limits.ts'
import { activeRules } from '../../src/rules/table.ts'
import type { Effect, Report, SessionEvent } from '../../src/session/event.ts'
import { Session } from '../../src/session/session.ts'
import type { Side } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { element } from '../../src/xml/element.ts'

type Tell = (report: Report, route: string | undefined) => void

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

/** Plays; the function returned ends what is still open, as the gate's stop does. */
export function playAtRandom(choices: readonly number[], tell: Tell): () => void {
  const world = new World(tell)
  let polite = 0
  for (const choice of choices) {
    // Before the login is through, one thing in sixteen comes between.
    const step = choice % 16 === 0 ? undefined : login[polite]
    if (step !== undefined) polite++
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
  private dialled = false

  constructor(tell: Tell) {
    this.tell = tell
    this.session = new Session(
      {
        starttls: false,
        rules: activeRules({ default: 'enforce', modes: new Map() }),
        trustedDomains: new Set(),
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

  private perform(effect: Effect): void {
    if (effect.effect === 'report') this.tell(effect.report, this.session.route)
    else if (effect.effect === 'connect') this.dialled = true
    else if (effect.effect === 'recall')
      this.happens({ event: 'ledger', recalled: { snapshot: undefined, live: false } })
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
