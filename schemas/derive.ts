/**
 * XSD -> JSON Schema. An element becomes an object of exactly these properties, of which its maker fills in what is to be judged:
 *
 *   each attribute without a namespace   its value, under its name
 *   `attributes`                         the names of all attributes (only where the XSD allows no others)
 *   `content`                            all the text directly inside, put together
 *   each child of the same namespace     an array of such objects, under its name
 *   each choice (`condition`)            an array of the names found
 *   `others`                             the namespaces of all other children
 *
 * No name that a peer chose becomes a key. Values are compared as they stand: where XSD collapses white space first, this does not.
 */
import type { Attribute, Content, Declaration, Occurs, SimpleType } from './xsd.ts'

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** The JSON Schema of an element's shape, as far as the XSD decides it. */
export function schemaOf(declaration: Declaration): JsonObject {
  const plain = declaration.attributes.filter(attribute => !attribute.name.includes(':'))
  const needed = plain.filter(attribute => attribute.required).map(attribute => attribute.name)
  const properties = new Map<string, Json>(plain.map(attribute => [attribute.name, valueSchema(attribute.type)]))
  const add = (name: string, schema: Json) => {
    if (properties.has(name)) throw new Error(`<${declaration.name}/> has two things named ${name}`)
    properties.set(name, schema)
  }
  if (!declaration.anyAttribute) add('attributes', attributeNames(declaration.attributes))
  add('content', declaration.text === undefined ? whiteSpace : valueSchema(declaration.text))
  for (const [name, content] of declaration.children) if (content.content !== 'any') add(name, childrenOf(content))
  add('others', othersOf(declaration))
  return {
    type: 'object',
    ...(needed.length === 0 ? {} : { required: needed }),
    properties: Object.fromEntries(properties),
  }
}

/** A schema with more said: objects are merged, everything else is replaced. */
export function merged(schema: JsonObject, more: JsonObject): JsonObject {
  const all: Record<string, Json> = { ...schema }
  for (const [key, value] of Object.entries(more)) {
    const before = all[key]
    all[key] = isObject(before) && isObject(value) ? merged(before, value) : value
  }
  return all
}

const whiteSpace: JsonObject = { type: 'string', pattern: '^[ \\t\\r\\n]*$' }

/** The built-in types of our XSD files. Numbers stay text: what a server reads is the text. */
const builtIn: Readonly<Record<string, JsonObject>> = {
  'xs:string': { type: 'string' },
  'xs:NMTOKEN': { type: 'string' },
  'xs:boolean': { enum: ['true', 'false', '1', '0'] },
  'xs:byte': { type: 'string', pattern: '^(?:[+-]?0*(?:[0-9]{1,2}|1[01][0-9]|12[0-7])|-0*128)$' },
}

function valueSchema(type: SimpleType): JsonObject {
  if (type.values.length > 0) return { enum: type.values }
  const schema = builtIn[type.base]
  if (schema === undefined) throw new Error(`no JSON Schema is known for ${type.base}`)
  return schema
}

function attributeNames(attributes: readonly Attribute[]): JsonObject {
  if (attributes.length === 0) return { type: 'array', maxItems: 0 }
  return { type: 'array', items: { enum: attributes.map(attribute => attribute.name) } }
}

function childrenOf({ content, min, max }: Content): JsonObject {
  if (content === 'any') throw new Error('a wildcard has no schema')
  const items = 'name' in content ? schemaOf(content) : { enum: content }
  return { type: 'array', ...bounds({ min, max }), items }
}

/** `##other`: any namespace but none at all and the element's own. */
function othersOf(declaration: Declaration): JsonObject {
  const wildcard = declaration.children.get('any')
  if (wildcard === undefined) return { type: 'array', maxItems: 0 }
  return { type: 'array', ...bounds(wildcard), items: { type: 'string', not: { enum: ['', declaration.ns] } } }
}

function bounds({ min, max }: Occurs): JsonObject {
  return { ...(min > 0 ? { minItems: min } : {}), ...(Number.isFinite(max) ? { maxItems: max } : {}) }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && !Array.isArray(value)
}
