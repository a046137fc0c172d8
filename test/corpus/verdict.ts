/** Whether what came of a case is what had to come; and whether anybody got what nobody may get. */
import { child, type Element, elements, type Node, withAttrs, withChildren } from '../../src/xml/element.ts'
import { XmlReader } from '../../src/xml/reader.ts'
import { type Item, outline, shown } from '../clients/raw.ts'
import type { Case, Expectation, Wire } from './case.ts'
import { upstreamLimits } from './limits.ts'

export interface Outcome {
  readonly ok: boolean
  readonly unsafe: boolean
  /** Why not; empty when all is well. */
  readonly detail: string
}

export interface Seen {
  readonly id: string
  readonly bare: string
  readonly mine: readonly Item[]
  readonly heard: readonly Element[]
  readonly watched: readonly Element[]
}

const streams = 'http://etherx.jabber.org/streams'
const stanzaErrors = 'urn:ietf:params:xml:ns:xmpp-stanzas'

export function verdictOf(
  one: Case,
  wire: Wire,
  expect: Expectation,
  seen: Seen,
  fill: (text: string) => string,
): Outcome {
  const strays = straysOf(one, expect, seen)
  const faults = [...strays, ...missing(one, seen), ...faultsOf(one, wire, expect, seen, fill)]
  return { ok: faults.length === 0, unsafe: strays.length > 0, detail: faults.join('; ') }
}

/** What somebody got and should not have. */
function straysOf(one: Case, expect: Expectation, seen: Seen): string[] {
  const { id, mine, heard, watched } = seen
  const isForged = one.class === 'from the server'
  const isOwn = (found: Element) => found.attrs.get('id') === id
  const mayArrive = expect.is === 'delivered'
  const mayTell = mayArrive || expect.is === 'answered' || expect.is === 'goes on'
  const isKnown = (found: Element) => {
    const own = found.attrs.get('id') ?? ''
    if (own === `mark-${id}` || own.startsWith(`${id}-ok`) || own.startsWith(`${id}-maybe`)) return true
    if (found.name === 'presence' && found.attrs.get('type') === 'unavailable' && own !== id) return true
    // The gate may tell a stranger that what it made the server say was refused.
    if (isForged && found.attrs.get('type') === 'error') return true
    // Of earlier cases of this account.
    return /^(hello|mark)-/.test(own) || (mayArrive && own === id)
  }
  const strays = heard.filter(found => !isKnown(found)).map(found => `the observer got ${outline(found)}`)
  for (const found of watched)
    if (!mayTell && (isOwn(found) || isStrayPush(found, id))) strays.push(`the other resource got ${outline(found)}`)
  for (const item of mine) {
    if (item.item !== 'element' || mayTell || expect.is === 'harmless') continue
    if (isOwn(item.element) && item.element.attrs.get('type') !== 'error')
      strays.push(`the client got ${outline(item.element)}`)
    if (outline(item.element).includes('smuggled')) strays.push(`the client got ${outline(item.element)}`)
  }
  return strays
}

/** Earlier cases leave contacts behind, of which a server may speak again. */
function isStrayPush(found: Element, id: string): boolean {
  const query = found.attrs.get('type') === 'set' ? child(found, 'query', 'jabber:iq:roster') : undefined
  return (
    query !== undefined &&
    elements(query).some(
      item => !/^nobody-c\d+@/.test(item.attrs.get('jid') ?? '') || outline(item).includes(`-${id}@`),
    )
  )
}

/** Good stanzas of the same case that did not arrive. */
function missing(one: Case, { id, heard }: Seen): string[] {
  const wanted = new Set(
    one.steps.flatMap(step => [...JSON.stringify(textOf(step)).matchAll(/\{id\}-ok\d+/g)].map(([ok]) => ok)),
  )
  return [...wanted].flatMap(ok => {
    const count = heard.filter(found => found.attrs.get('id') === ok.replace('{id}', id)).length
    return count === 1 ? [] : [`${ok} arrived ${count} times`]
  })
}

function textOf(step: unknown): string {
  if (typeof step === 'string') return step
  if (step instanceof Uint8Array) return Buffer.from(step).toString('latin1')
  return typeof step === 'object' && step !== null ? Object.values(step).map(textOf).join(' ') : ''
}

function faultsOf(one: Case, wire: Wire, expect: Expectation, seen: Seen, fill: (text: string) => string): string[] {
  const { id, mine, heard } = seen
  const items = mine.filter(item => item.item !== 'whitespace')
  const got = () => `the client got: ${items.map(shown).join(' ') || 'nothing'}`
  const isGone = items.at(-1)?.item === 'gone'
  const errors = items.flatMap(item =>
    item.item === 'element' && item.element.ns === streams && item.element.name === 'error' ? [item.element] : [],
  )
  switch (expect.is) {
    case 'stream error': {
      const condition = errors[0] && elements(errors[0])[0]?.name
      const last = items.slice(-3).map(item => item.item)
      const isClean =
        errors.length === 1 && last.join() === 'element,close,gone' && items.at(-3) === itemOf(items, errors[0])
      const isCoded = wire !== 'ws' || (items.at(-1) as { code?: number }).code === 1000
      const isHeaded = one.at !== 'header' || items[0]?.item === 'open'
      return expect.conditions.includes(condition ?? '') && isClean && isCoded && isHeaded ? [] : [got()]
    }
    case 'closed': {
      const code = (items.at(-1) as { code?: number } | undefined)?.code
      return isGone && errors.length === 0 && (wire !== 'ws' || code === expect.code) ? [] : [got()]
    }
    case 'harmless':
      return errors.length > 1 ? [got()] : []
    case 'status':
      return []
  }
  if (isGone || errors.length > 0) return [got()]
  const answers = items.flatMap(item =>
    item.item === 'element' && item.element.attrs.get('id') === id ? [item.element] : [],
  )
  switch (expect.is) {
    case 'stanza error': {
      const [answer] = answers
      const error = answer && elements(answer).find(found => found.name === 'error')
      const condition = error && elements(error).find(found => found.ns === stanzaErrors && found.name !== 'text')?.name
      const isRight =
        expect.conditions.includes(condition ?? '') && expect.types.includes(error?.attrs.get('type') ?? '')
      return isRight && answers.length === 1 && answer?.attrs.get('type') === 'error' ? [] : [got()]
    }
    case 'dropped': {
      // What was said in the client's own name is refused in that name, and the server brings the refusal home.
      const isHome = (answer: Element) =>
        answer.attrs.get('type') === 'error' && answer.attrs.get('from') === answer.attrs.get('to')
      return answers.every(isHome) ? [] : [got()]
    }
    case 'delivered': {
      const own = heard.filter(found => found.attrs.get('id') === id).map(found => outline(bared(found)))
      const wanted = outline(bared(parsed(fill(expect.xml))))
      return own.length === 1 && own[0] === wanted
        ? []
        : [`wanted ${wanted}, the observer got ${own.join(' ') || 'nothing'}`, got()]
    }
    case 'answered': {
      const lines = [...items.map(shown), ...seen.watched.map(outline)]
      const wanted = expect.by.map(fill)
      return lines.some(line => wanted.every(part => line.includes(part))) ? [] : [`wanted ${wanted.join(', ')}`, got()]
    }
    case 'goes on':
      return heard.some(found => found.attrs.get('id') === `mark-${id}`) ? [] : [got()]
  }
}

function itemOf(items: readonly Item[], found: Element | undefined): Item | undefined {
  return items.find(item => item.item === 'element' && item.element === found)
}

const added = new Set(['urn:xmpp:sid:0', 'urn:xmpp:mam:tmp', 'urn:xmpp:delay', 'vcard-temp:x:update'])

/** Without the sender and what servers add; extensions first, as ejabberd puts them. */
function bared(found: Element): Element {
  const children = found.children.filter(node => typeof node === 'string' || !added.has(node.ns))
  const isOwn = (node: Node) => typeof node !== 'string' && node.ns === 'jabber:client'
  const ordered = [...children.filter(node => !isOwn(node)), ...children.filter(isOwn)]
  return withAttrs(withChildren(found, ordered), { from: undefined })
}

/** The expected stanza, written in plain spelling. */
export function parsed(xml: string): Element {
  const reader = new XmlReader({ level: 0, limits: upstreamLimits, relayed: true })
  reader.push(Buffer.from(xml))
  reader.finish()
  const item = reader.next()
  if (item?.xml !== 'element') throw new Error(`no element: ${xml}`)
  return item.element
}
