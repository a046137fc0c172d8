/** libxml2's answer to a document, and elements as the derived schemas describe them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { XmlDocument, XmlValidateError, XsdValidator } from 'libxml2-wasm'
import { xmlRegisterFsInputProviders } from 'libxml2-wasm/lib/nodejs.mjs'
import { root } from '../../schemas/build.ts'
import type { Json, JsonObject } from '../../schemas/derive.ts'
import { clientLimits } from '../../src/stream/limits.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { type Element, elements, text } from '../../src/xml/element.ts'
import { XmlReader } from '../../src/xml/reader.ts'

export type Answer = 'valid' | 'invalid'

xmlRegisterFsInputProviders()

/** Compiles one of our XSD files; throws what libxml2 has against it. */
export function xsdOracle(file: string): (xml: string) => Answer {
  const path = join(root, 'schemas', file)
  const schema = XmlDocument.fromBuffer(readFileSync(path), { url: path })
  const validator = XsdValidator.fromDoc(schema)
  return xml => {
    const document = XmlDocument.fromString(xml)
    try {
      validator.validate(document)
      return 'valid'
    } catch (error) {
      if (error instanceof XmlValidateError) return 'invalid'
      throw error
    } finally {
      document.dispose()
    }
  }
}

/** The element that a text is. Throws when the reader has something against it. */
export function parse(xml: string): Element {
  const reader = new XmlReader({ level: 0, limits: { ...clientLimits, depth: 20 } })
  reader.push(Buffer.from(xml))
  const item = reader.next()
  if (item?.xml !== 'element') throw new Error(`${xml}: ${item?.xml === 'error' ? item.text : 'unfinished'}`)
  return item.element
}

/** An element in full as its derived schema describes it: what the gate's own shapes hold is part of this. */
export function shapeOf(element: Element, schema: JsonObject): JsonObject {
  const properties = schema.properties as Readonly<Record<string, JsonObject>>
  const shape: Record<string, Json> = {}
  const isOther = (child: Element) =>
    child.ns !== (properties.condition === undefined ? element.ns : ns.stanzaErrors) ||
    (properties.condition === undefined && !Object.hasOwn(properties, child.name))
  for (const [name, property] of Object.entries(properties)) {
    const own = elements(element).filter(child => !isOther(child))
    const items = property.items as JsonObject | undefined
    const value = element.attrs.get(name)
    if (name === 'attributes') shape[name] = [...element.attrs.keys()]
    else if (name === 'content') shape[name] = text(element)
    else if (name === 'others')
      shape[name] = elements(element)
        .filter(isOther)
        .map(child => child.ns)
    else if (name === 'condition') shape[name] = own.map(child => child.name).filter(child => child !== 'text')
    else if (items?.properties !== undefined)
      shape[name] = own.filter(child => child.name === name).map(child => shapeOf(child, items))
    else if (value !== undefined) shape[name] = value
  }
  return shape
}
