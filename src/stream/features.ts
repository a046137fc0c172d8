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

/** Room for what a server adds to a stanza that it counts: `from`, xml:lang and namespaces. Bytes. */
const slack = 1_024

/** The features as the client gets them. `maxBytes`: the gate's own limit for one element. */
export function rewriteFeatures(features: Element, maxBytes: number): Element {
  const children = elements(features)
    .filter(feature => !isTakenOut(feature))
    .map(feature => {
      if (feature.ns === ns.limits && feature.name === 'limits') return withLimit(feature, maxBytes)
      return feature
    })
  return withChildren(features, children)
}

/** XEP-0478: the smaller of both limits. */
function withLimit(limits: Element, maxBytes: number): Element {
  return withChildren(
    limits,
    limits.children.map(node => {
      if (typeof node === 'string' || node.name !== 'max-bytes') return node
      const upstream = Number(text(node)) - slack
      return withChildren(node, [String(upstream > 0 ? Math.min(upstream, maxBytes) : maxBytes)])
    }),
  )
}
