// What is remembered of a stanza is a copy: V8 keeps the whole text of a stanza in memory as long as a part of it is referenced.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import { LiveEvents } from '../../src/console/live-events.ts'
import { Offenders } from '../../src/observe/offenders.ts'
import { rosterItemsOf } from '../../src/stanza/roster-iq.ts'
import { makeFraming } from '../../src/stream/framing.ts'
import { upstreamLimits } from '../../src/stream/limits.ts'
import { child, type Element } from '../../src/xml/element.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const number = 500
/** A stanza's text beside what is remembered of it. 25 MB for all of them. */
const ballast = 'p'.repeat(50_000)
/** What the parts that are kept may need. */
const atMost = 3_000_000

function* elements(texts: (index: number) => string): Iterable<Element> {
  const framing = makeFraming('tcp', 'upstream', upstreamLimits)
  framing.push(
    Buffer.from(`<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>`),
  )
  framing.next()
  framing.readInBulk()
  for (let index = 0; index < number; index++) {
    framing.push(Buffer.from(texts(index)))
    const item = framing.next()
    if (item?.item !== 'element') throw new Error(`no element: ${item?.item}`)
    yield item.element
  }
}

function used(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

const contact = (index: number) => `somebody-with-a-name-${index}@chat.example.org`
const presence = (index: number) =>
  `<presence from='${contact(index)}' type='subscribe'><status>${ballast}</status></presence>`
const push = (index: number) =>
  `<iq type='set' id='p'><query xmlns='jabber:iq:roster' ver='a version of the roster ${index}'><item jid='${contact(index)}' subscription='to' name='${ballast}'/></query></iq>`

type Keeping = () => {
  readonly texts: (index: number) => string
  note(element: Element, index: number): void
  readonly kept: unknown
}

const keeping: Readonly<Record<string, Keeping>> = {
  'subscription stanzas of an account': () => {
    const accounts = new Accounts<object>(10)
    const member = {}
    accounts.attach('juliet@example.org/balcony', member)
    return {
      texts: presence,
      kept: accounts,
      note: element =>
        accounts.tell(member, {
          news: 'subscription',
          direction: 'inbound',
          type: 'subscribe',
          contact: element.attrs.get('from') ?? '',
        }),
    }
  },
  'roster pushes of an account': () => {
    const accounts = new Accounts<object>(10)
    const member = {}
    accounts.attach('juliet@example.org/balcony', member)
    accounts.tell(member, { news: 'roster', items: [], ver: '' })
    return {
      texts: push,
      kept: accounts,
      note: element => {
        const query = child(element, 'query', 'jabber:iq:roster') as Element
        const [item] = rosterItemsOf(query)
        if (item === undefined) throw new Error('no item')
        accounts.tell(member, { news: 'push', item, ver: query.attrs.get('ver'), before: undefined }, 1)
      },
    }
  },
  'versions of rosters': () => {
    const accounts = new Accounts<object>(number)
    return {
      texts: push,
      kept: accounts,
      note: (element, index) => {
        const member = {}
        accounts.attach(`user${index}@example.org/x`, member)
        const ver = child(element, 'query', 'jabber:iq:roster')?.attrs.get('ver')
        accounts.tell(member, { news: 'roster', items: [], ver })
      },
    }
  },
  offenders: () => {
    const offenders = new Offenders()
    return {
      texts: presence,
      kept: offenders,
      note: element => offenders.report(judged(element), about),
    }
  },
  'live events': () => {
    const events = new LiveEvents()
    return {
      texts: index =>
        `<presence from='${contact(index)}' type='an unknown type ${index}'><status>${ballast}</status></presence>`,
      kept: events,
      note: element => events.report(judged(element), about),
    }
  },
}

const about = { id: 1, listener: 'plain', wire: 'tcp', route: 'example.org', decision: 'a' } as const

function judged(element: Element) {
  const from = element.attrs.get('from') ?? ''
  return {
    report: 'judged',
    from: 'upstream',
    kind: 'presence',
    type: 'other',
    spelled: element.attrs.get('type'),
    account: 'juliet@example.org',
    contact: from,
    verdict: 'drop',
    said: [{ rule: 'presence-type', clause: 'RFC 6121', mode: 'enforce', verdict: 'drop' }],
  } as never
}

for (const [what, begin] of Object.entries(keeping))
  t.test(what, t => {
    const { texts, note, kept } = begin()
    const before = used()
    let index = 0
    for (const element of elements(texts)) note(element, index++)
    const grown = used() - before
    t.ok(grown < atMost, `${grown} bytes are kept`)
    t.ok(kept)
    t.end()
  })
