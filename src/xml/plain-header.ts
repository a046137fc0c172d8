/** Reads a stream header of the usual spelling without a parser; any other one takes the way through saxes (reader.ts), with the same result. */
import { isPlainNamespace } from './canonical.ts'
import type { Element } from './element.ts'
import { prologLength, type XmlLimits } from './limits.ts'

/** A stream header: what it declares and says, and the position behind it. */
export interface PlainHeader {
  readonly root: Element
  readonly content: string
  readonly prefix: string
  readonly end: number
}

const plainValue = `'[ -%(-;=-~]*'|"[ !#-%'-;=-~]*"`
const plainHeader = new RegExp(
  `^(?:<\\?xml version=(?:'1\\.0'|"1\\.0")(?: encoding=(?:'utf-8'|"utf-8"|'UTF-8'|"UTF-8"))? ?\\?>)?[ \\t\\r\\n]*` +
    `<stream:stream((?: +(?:xmlns:stream|xml:lang|[a-z]+)=(?:${plainValue}))+) *>`,
)
const plainAttribute = new RegExp(`([a-z:]+)=(${plainValue})`, 'g')

/**
 * Reads the header that a text begins with, if it is one of the usual spelling: the prefix `stream`, the default namespace declared, and
 * values of printable ASCII. `undefined`: it is not, or not complete.
 */
export function scanHeader(text: string, limits: XmlLimits): PlainHeader | undefined {
  const matched = plainHeader.exec(text)
  if (matched === null) return undefined
  const [{ length: end }, attributes = ''] = matched
  const all = new Map(
    [...attributes.matchAll(plainAttribute)].map(([, name = '', value = '']) => [name, value.slice(1, -1)]),
  )
  const names = attributes.match(plainAttribute)?.length ?? 0
  const content = all.get('xmlns')
  const root = all.get('xmlns:stream')
  if (content === undefined || root === undefined || all.size !== names) return undefined
  if (!isPlainNamespace(content) || !isPlainNamespace(root)) return undefined
  // One by one, as the reader would count them.
  const startTag = end - text.lastIndexOf('<', end - 1)
  if (end > limits.bytes || end > prologLength || startTag > limits.startTag || names > limits.attributes)
    return undefined
  if (limits.nameLength < 'stream:stream'.length || [...all.keys()].some(name => name.length > limits.nameLength))
    return undefined
  all.delete('xmlns')
  all.delete('xmlns:stream')
  return { root: { name: 'stream', ns: root, attrs: all, children: [] }, content, prefix: 'stream', end }
}
