/**
 * What the gate asks beyond the XSDs: the sentences of the RFCs that XSD cannot say, or that the printed schemas do not.
 * Each is merged into the schema derived from the XSD.
 */
import { ns } from '../src/stream/namespaces.ts'
import type { JsonObject } from './derive.ts'

const array = { type: 'array' }
const foreign = (...not: string[]) => ({ items: { not: { enum: ['', ...not] } } })

/** RFC 6120 sections 8.3.1(4) and 8.3.1(7): an error stanza holds an error, and no other stanza does. */
const errorInErrorsOnly: JsonObject = {
  if: { properties: { type: { const: 'error' } }, required: ['type'] },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
  then: { properties: { error: { ...array, minItems: 1 } } },
  else: { properties: { error: { ...array, maxItems: 0 } } },
}

/** RFC 6120 section 8.4: the content namespaces and the stream's are no extensions. */
const extensions = foreign(ns.client, ns.server, ns.stream)

/** RFC 6121 sections 4.7.2.1 and 4.7.2.3: one show and one priority at most. */
export const presence: JsonObject = {
  properties: { show: { maxItems: 1 }, priority: { maxItems: 1 }, others: extensions },
  ...errorInErrorsOnly,
}

export const message: JsonObject = {
  properties: { thread: { maxItems: 1 }, others: extensions },
  ...errorInErrorsOnly,
}

/** RFC 6120 section 8.2.3: a request holds one child, a result one at most. */
export const iq: JsonObject = {
  properties: { others: extensions },
  ...errorInErrorsOnly,
  allOf: [
    {
      if: { properties: { type: { enum: ['get', 'set'] } } },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
      then: { properties: { others: { ...array, minItems: 1 } } },
    },
  ],
}

/**
 * RFC 6121 sections 2.1.2.1, 2.1.2.2 and 2.3.3: what a client may ask of its roster. `subscription` is not judged: a server ignores
 * every value but `remove`.
 */
export const rosterSet: JsonObject = {
  properties: {
    item: {
      minItems: 1,
      maxItems: 1,
      items: {
        properties: {
          subscription: { type: 'string' },
          ask: false,
          approved: false,
          group: { items: { properties: { content: { not: { const: '' } } } } },
        },
      },
    },
  },
}
