/**
 * What the gate removes from or changes in the features that the server offers. SASL mechanisms and channel-binding types are
 * never changed: clients and servers prove to each other what was offered (XEP-0474, RFC 5802 section 6).
 */
import { child, type Element, elements, text, withChildren } from '../xml/element.ts'
import { ns } from './namespaces.ts'

/** Offered by the gate itself (STARTTLS), or refused by it (compression, XEP-0078). */
function isTakenOut(feature: Element): boolean {
  return feature.ns === ns.tls || feature.ns === ns.compressFeature || feature.ns === ns.legacyAuthFeature
}

/** RFC 6121 section 3.4: a user may approve a contact before it asks. Servers offer it after the login. */
export function offersPreApproval(features: Element): boolean {
  return child(features, 'sub', ns.preApproval) !== undefined
}

/**
 * Bytes by which a stanza may become longer when the gate writes it for the server, which has a limit: ` from=""` with a bare JID
 * of at most 3,071 bytes (RFC 7622 section 3.1). Nothing else becomes longer (writer.ts), except for namespaces that a client has
 * declared once with a prefix and used often.
 */
const slack = 8 + 3_071

/**
 * The features as the client gets them. `maxBytes`: the gate's own limit for one element. `stamps`: from here on stanzas get the
 * client's address.
 */
export function rewriteFeatures(features: Element, maxBytes: number, stamps: boolean): Element {
  const offered = elements(features)
  const children = offered
    .filter(feature => !isTakenOut(feature))
    .map(feature => {
      if (feature.ns === ns.limits && feature.name === 'limits') return withLimit(feature, maxBytes, stamps ? slack : 0)
      return feature
    })
  const isChanged = children.length < offered.length || children.some((child, index) => child !== offered[index])
  // XEP-0509: the version describes the features as the server has offered them. A client that remembers it would expect other
  // features.
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
