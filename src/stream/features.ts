/**
 * What the gate takes out of, or puts right in, the features that the server offers. SASL mechanisms and channel-binding types are
 * never touched: clients and servers prove to each other what was offered (XEP-0474, RFC 5802 section 6).
 */
import { type Element, elements, text, withChildren } from '../xml/element.ts'
import { ns } from './namespaces.ts'

/** Consumed by the gate (STARTTLS), or refused by it (compression, XEP-0078). */
function isTakenOut(feature: Element): boolean {
  return feature.ns === ns.tls || feature.ns === ns.compressFeature || feature.ns === ns.legacyAuthFeature
}

/**
 * Bytes that a stanza may be longer when it is written anew for the server, which counts them: ` from=""` with a bare JID of at most 3,071
 * bytes (RFC 7622 section 3.1). All else that is written anew is no longer than it came (writer.ts), but for namespaces that a client has
 * declared once with a prefix and used often.
 */
const slack = 8 + 3_071

/** The features as the client gets them. `maxBytes`: the gate's own limit for one element. `stamps`: stanzas are stamped from here on. */
export function rewriteFeatures(features: Element, maxBytes: number, stamps: boolean): Element {
  const offered = elements(features)
  const children = offered
    .filter(feature => !isTakenOut(feature))
    .map(feature => {
      if (feature.ns === ns.limits && feature.name === 'limits') return withLimit(feature, maxBytes, stamps ? slack : 0)
      return feature
    })
  const isChanged = children.length < offered.length || children.some((child, index) => child !== offered[index])
  // XEP-0509: the version is that of the features as the server has offered them. A client that knew it would be told otherwise.
  return withChildren(features, isChanged ? children.filter(feature => feature.ns !== ns.iap) : children)
}

/** XEP-0478: the smaller of both limits. */
function withLimit(limits: Element, maxBytes: number, slack: number): Element {
  let isChanged = false
  const children = limits.children.map(node => {
    if (typeof node === 'string' || node.name !== 'max-bytes') return node
    const said = text(node)
    const upstream = Number(said) - slack
    const told = String(upstream > 0 ? Math.min(upstream, maxBytes) : maxBytes)
    isChanged ||= told !== said
    return withChildren(node, [told])
  })
  return isChanged ? withChildren(limits, children) : limits
}
