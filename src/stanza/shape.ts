/**
 * Checks what a client sends against the schemas. An element is turned into a small object, which validators derived from the
 * XSDs check (npm run schemas). The object has only keys of ours: what a peer has written is a value in it, never a key. The
 * checks, and the faults that are allowed, are the profile in schemas/README.md. The order of children and the inside of
 * extensions are never checked (RFC 6120 section 8.4).
 */
import { ns } from '../stream/namespaces.ts'
import type { Element } from '../xml/element.ts'
import * as validators from './generated/validators.ts'

/** A check of the profile that a presence stanza did not pass. */
export interface ShapeFault {
  readonly check: 'V2' | 'V5' | 'V7' | 'V8' | 'V9'
  /** One English sentence for the sender. It repeats nothing of the stanza. */
  readonly text: string
}

/** What is wrong with a roster set, and the condition to answer it with (RFC 6121 section 2.3.3). */
export interface RosterFault {
  readonly condition: 'bad-request' | 'not-acceptable'
  readonly text: string
}

/** V2: `type` is one of the seven to the letter, or absent (RFC 6121 section 4.7.1). `undefined`: nothing is wrong. */
export function presenceTypeFault(element: Element): ShapeFault | undefined {
  const type = element.attrs.get('type')
  return type === undefined || validators.presenceType(type) ? undefined : unknownType
}

/**
 * V5 to V9: the children of a presence stanza (RFC 6121 section 4.7.2, RFC 6120 section 8.3.1). `lang` is the language that the
 * stanza inherits from its stream. A fault in a stanza of type error must not be answered. `undefined`: nothing is wrong.
 */
export function presenceChildrenFault(element: Element, lang: string | undefined): ShapeFault | undefined {
  const shape = presenceShape(element)
  if (!validators.presence(shape)) return sentence(presenceFaults, validators.presence)
  return shape.status.length < 2 || haveDistinctLanguages(element, lang) ? undefined : sameLanguage
}

/** What a client may ask of its roster in one set (RFC 6121 sections 2.1.2 and 2.3.3). `undefined`: nothing is wrong. */
export function rosterSetFault(query: Element): RosterFault | undefined {
  const shape = rosterSetShape(query)
  if (!validators.rosterSet(shape)) return sentence(rosterSetFaults, validators.rosterSet)
  const groups = shape.item.flatMap(item => item.group.map(group => group.content))
  return new Set(groups).size === groups.length ? undefined : sameGroup
}

const unknownType: ShapeFault = {
  check: 'V2',
  text: 'The type of a presence stanza is one of seven, or it is left out.',
}
const sameLanguage: ShapeFault = { check: 'V5', text: 'No two <status/> of a presence stanza have the same language.' }
const sameGroup: RosterFault = { condition: 'bad-request', text: 'A roster item is in a group once only.' }

const textOnly = (name: string): ShapeFault => ({ check: 'V9', text: `<${name}/> holds text only.` })
const noAttribute = (name: string): ShapeFault => ({ check: 'V9', text: `<${name}/> has no attributes.` })
const misplaced: ShapeFault = {
  check: 'V8',
  text: 'A presence stanza holds <show/>, <status/>, <priority/>, <error/> and elements of extension namespaces, nothing else.',
}
const oneCondition: ShapeFault = { check: 'V7', text: '<error/> holds exactly one defined condition.' }
const oneError: ShapeFault = { check: 'V7', text: 'A presence stanza of type error holds exactly one <error/>.' }
const errorType: ShapeFault = {
  check: 'V7',
  text: 'The type of <error/> is auth, cancel, continue, modify or wait.',
}

/** By the place in schemas/generated/presence.schema.json that was not satisfied. */
const presenceFaults: ReadonlyMap<string, ShapeFault> = new Map([
  ['#/properties/content/pattern', misplaced],
  ['#/properties/others/items/not', misplaced],
  ['#/properties/show/maxItems', { check: 'V5', text: 'A presence stanza has one <show/> at most.' }],
  [
    '#/properties/show/items/properties/content/enum',
    { check: 'V5', text: '<show/> is away, chat, dnd or xa, without white space around it.' },
  ],
  ['#/properties/show/items/properties/attributes/maxItems', noAttribute('show')],
  ['#/properties/show/items/properties/others/maxItems', textOnly('show')],
  [
    '#/properties/status/items/properties/attributes/items/enum',
    { check: 'V9', text: '<status/> has no attribute but xml:lang.' },
  ],
  ['#/properties/status/items/properties/others/maxItems', textOnly('status')],
  ['#/properties/priority/maxItems', { check: 'V5', text: 'A presence stanza has one <priority/> at most.' }],
  [
    '#/properties/priority/items/properties/content/pattern',
    { check: 'V5', text: '<priority/> is an integer from -128 to 127, without white space around it.' },
  ],
  ['#/properties/priority/items/properties/attributes/maxItems', noAttribute('priority')],
  ['#/properties/priority/items/properties/others/maxItems', textOnly('priority')],
  ['#/then/properties/error/minItems', oneError],
  ['#/properties/error/maxItems', oneError],
  [
    '#/else/properties/error/maxItems',
    { check: 'V7', text: '<error/> stands in a presence stanza of type error only.' },
  ],
  ['#/properties/error/items/required', errorType],
  ['#/properties/error/items/properties/type/enum', errorType],
  ['#/properties/error/items/properties/condition/minItems', oneCondition],
  ['#/properties/error/items/properties/condition/maxItems', oneCondition],
  ['#/properties/error/items/properties/condition/items/enum', oneCondition],
])

const bad = (text: string): RosterFault => ({ condition: 'bad-request', text })
const oneItem = bad('A roster set holds exactly one <item/>.')
const stray = bad(
  'A roster set holds an <item/> with its <group/>s and elements of extension namespaces, nothing else.',
)

/** By the place in schemas/generated/roster-set.schema.json that was not satisfied. */
const rosterSetFaults: ReadonlyMap<string, RosterFault> = new Map([
  ['#/properties/item/minItems', oneItem],
  ['#/properties/item/maxItems', oneItem],
  ['#/properties/item/items/required', bad('A roster item has a jid.')],
  ['#/properties/item/items/properties/ask/false schema', bad('A client does not set ask: the server does.')],
  ['#/properties/item/items/properties/approved/false schema', bad('A client does not set approved: the server does.')],
  [
    '#/properties/item/items/properties/group/items/properties/content/not',
    { condition: 'not-acceptable', text: 'A group has a name; to be in none, leave <group/> out.' },
  ],
  ['#/properties/item/items/properties/group/items/properties/attributes/maxItems', bad('<group/> has no attributes.')],
  ['#/properties/item/items/properties/group/items/properties/others/maxItems', bad('<group/> holds text only.')],
  ['#/properties/item/items/properties/content/pattern', stray],
  ['#/properties/item/items/properties/others/items/not', stray],
  ['#/properties/content/pattern', stray],
  ['#/properties/others/items/not', stray],
])

/** Throws when the schema has a place without a sentence, which is our bug. */
function sentence<Fault>(faults: ReadonlyMap<string, Fault>, validator: validators.Validator): Fault {
  const place = validator.errors?.[0]?.schemaPath
  const fault = faults.get(place ?? '')
  if (fault === undefined) throw new Error(`there is no sentence for ${place}`)
  return fault
}

interface TextShape {
  readonly content: string
  readonly attributes: readonly string[]
  readonly others: readonly string[]
}

interface ErrorShape {
  readonly type?: string
  readonly condition: readonly string[]
}

interface PresenceShape {
  /** Left out for all other types: V2 has checked the type before; only `error` matters for the children. */
  readonly type?: 'error'
  content: string
  readonly show: TextShape[]
  readonly status: TextShape[]
  readonly priority: TextShape[]
  readonly error: ErrorShape[]
  readonly others: string[]
}

function presenceShape(element: Element): PresenceShape {
  const lists = { content: '', show: [], status: [], priority: [], error: [], others: [] }
  const shape: PresenceShape = element.attrs.get('type') === 'error' ? { type: 'error', ...lists } : lists
  for (const node of element.children) {
    if (typeof node === 'string') shape.content += node
    else if (node.ns !== ns.client) shape.others.push(node.ns)
    else if (node.name === 'show' && isEmpty(node)) continue
    else if (node.name === 'show') shape.show.push(textShape(node))
    else if (node.name === 'status') shape.status.push(textShape(node))
    else if (node.name === 'priority') shape.priority.push(textShape(node))
    else if (node.name === 'error') shape.error.push(errorShape(node))
    else shape.others.push(node.ns)
  }
  return shape
}

/** An empty `<show/>` counts as none: servers accept it, and honest clients send it (go-sendxmpp). */
function isEmpty(element: Element): boolean {
  return element.children.length === 0 && element.attrs.size === 0
}

const none: readonly string[] = []

function textShape(element: Element): TextShape {
  const attributes = element.attrs.size === 0 ? none : [...element.attrs.keys()]
  let content = ''
  let others: string[] | undefined
  for (const node of element.children) {
    if (typeof node === 'string') content += node
    else {
      others ??= []
      others.push(node.ns)
    }
  }
  return { content, attributes, others: others ?? none }
}

function errorShape(element: Element): ErrorShape {
  const condition: string[] = []
  for (const node of element.children)
    if (typeof node !== 'string' && node.ns === ns.stanzaErrors && node.name !== 'text') condition.push(node.name)
  const type = element.attrs.get('type')
  return type === undefined ? { condition } : { type, condition }
}

interface ItemShape {
  readonly jid?: string
  readonly ask?: string
  readonly approved?: string
  content: string
  readonly group: TextShape[]
  readonly others: string[]
}

interface RosterSetShape {
  content: string
  readonly item: ItemShape[]
  readonly others: string[]
}

function rosterSetShape(query: Element): RosterSetShape {
  const shape: RosterSetShape = { content: '', item: [], others: [] }
  for (const node of query.children) {
    if (typeof node === 'string') shape.content += node
    else if (node.ns === ns.roster && node.name === 'item') shape.item.push(itemShape(node))
    else shape.others.push(node.ns)
  }
  return shape
}

function itemShape(item: Element): ItemShape {
  const jid = item.attrs.get('jid')
  const ask = item.attrs.get('ask')
  const approved = item.attrs.get('approved')
  const shape: ItemShape = {
    ...(jid === undefined ? {} : { jid }),
    ...(ask === undefined ? {} : { ask }),
    ...(approved === undefined ? {} : { approved }),
    content: '',
    group: [],
    others: [],
  }
  for (const node of item.children) {
    if (typeof node === 'string') shape.content += node
    else if (node.ns === ns.roster && node.name === 'group') shape.group.push(textShape(node))
    else shape.others.push(node.ns)
  }
  return shape
}

/** A language is the element's own, or inherited from the stanza, or from the stream (RFC 6121 section 4.7.2.2). */
function haveDistinctLanguages(presence: Element, lang: string | undefined): boolean {
  const inherited = presence.attrs.get('xml:lang') ?? lang ?? ''
  const seen = new Set<string>()
  for (const node of presence.children) {
    if (typeof node === 'string' || node.name !== 'status' || node.ns !== ns.client) continue
    const language = (node.attrs.get('xml:lang') ?? inherited).toLowerCase()
    if (seen.has(language)) return false
    seen.add(language)
  }
  return true
}
