/** Stream management inside SASL2 (XEP-0388) and Bind 2 (XEP-0386): requests in `<authenticate/>`, answers in `<success/>`. */
import { ns } from '../stream/namespaces.ts'
import { type Element, elements, type Node, withChildren } from '../xml/element.ts'
import { isStreamManagement } from './stanza-counts.ts'

/** The `<resume/>` that a SASL2 request asks for inline. */
export function inlineResumeOf(authenticate: Element): Element | undefined {
  if (authenticate.ns !== ns.sasl2 || authenticate.name !== 'authenticate') return undefined
  return elements(authenticate).find(isResume)
}

/** The request with its `<resume/>` put otherwise, or taken out. A second one is taken out anyway. */
export function withInlineResume(authenticate: Element, resume: Element | undefined): Element {
  let due = resume
  const children = authenticate.children.flatMap((node): Node[] => {
    if (typeof node === 'string' || !isResume(node)) return [node]
    const put = due === undefined ? [] : [due]
    due = undefined
    return put
  })
  return withChildren(authenticate, children)
}

/** The success with what it says of stream management, in `<bound/>` too, put otherwise by `change`, and `owed` behind it. */
export function withManagement(
  success: Element,
  owed: readonly Element[],
  change: (nonza: Element) => Element,
): Element {
  const changed = (parent: Element): Node[] =>
    parent.children.map(node => {
      if (typeof node === 'string') return node
      if (isStreamManagement(node)) return change(node)
      return node.name === 'bound' && node.ns === ns.bind2 ? withChildren(node, changed(node)) : node
    })
  return withChildren(success, [...changed(success), ...owed])
}

function isResume(node: Element): boolean {
  return node.name === 'resume' && isStreamManagement(node)
}
