/**
 * XEP-0198 is not offered to clients until the gate can keep both sides' counts right when it drops or answers a stanza; a client that
 * asks for it nevertheless is told so, by the namespace that it used.
 */
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element, elements, type Node, withChildren } from '../xml/element.ts'

export function isStreamManagement(nonza: Element): boolean {
  return nonza.ns === ns.sm3 || nonza.ns === ns.sm2
}

/** The answer to `<enable/>` and `<resume/>`; `undefined` for what needs none. */
export function refusal(nonza: Element): Element | undefined {
  if (nonza.name !== 'enable' && nonza.name !== 'resume') return undefined
  return element('failed', nonza.ns, {}, [element('feature-not-implemented', ns.stanzaErrors)])
}

/** What a SASL2 `<authenticate/>` asked for inline (XEP-0388, XEP-0386), taken out of it. */
export interface Inline {
  readonly authenticate: Element
  /** Answers owed in `<success/>`: to `<resume/>`. */
  readonly success: readonly Element[]
  /** Answers owed in Bind 2's `<bound/>`: to `<enable/>`. */
  readonly bound: readonly Element[]
}

export function takeInline(authenticate: Element): Inline {
  const bind = child(authenticate, 'bind', ns.bind2)
  const kept = authenticate.children.flatMap((node): Node[] => {
    if (typeof node === 'string') return [node]
    if (isStreamManagement(node)) return []
    return [node === bind ? withChildren(node, without(node)) : node]
  })
  return {
    authenticate: withChildren(authenticate, kept),
    success: refusals(authenticate),
    bound: bind === undefined ? [] : refusals(bind),
  }
}

/** The server's `<success/>` with the answers owed; `inline` is what `takeInline` took. */
export function giveInline(success: Element, inline: Inline | undefined): Element {
  if (inline === undefined || (inline.success.length === 0 && inline.bound.length === 0)) return success
  const children = success.children.map(node => {
    if (typeof node === 'string' || node.name !== 'bound' || node.ns !== ns.bind2) return node
    return withChildren(node, [...node.children, ...inline.bound])
  })
  return withChildren(success, [...children, ...inline.success])
}

function without(parent: Element) {
  return parent.children.filter(node => typeof node === 'string' || !isStreamManagement(node))
}

function refusals(parent: Element): Element[] {
  return elements(parent)
    .filter(isStreamManagement)
    .flatMap(node => refusal(node) ?? [])
}
