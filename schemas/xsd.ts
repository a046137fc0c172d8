/**
 * Reads our XSD files as far as they go: named components, references, sequences, choices, enumerations.
 *
 * What is not read is refused with a message, so that a construct new to the files cannot be passed over in silence. Two
 * conventions take the place of general rules: the prefixes are those of the table below, and a group that is nothing but a choice
 * of elements stands as one thing under its own name (`condition`).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { upstreamLimits } from '../src/stream/limits.ts'
import { ns } from '../src/stream/namespaces.ts'
import { type Element, elements } from '../src/xml/element.ts'
import { XmlReader } from '../src/xml/reader.ts'

const xsd = 'http://www.w3.org/2001/XMLSchema'
const prefixes = new Map<string, string>([
  ['xs', xsd],
  ['xml', ns.xml],
  ['err', ns.stanzaErrors],
])

export interface SimpleType {
  /** The built-in type below it, such as `xs:string`. */
  readonly base: string
  /** Empty: any value of the base. */
  readonly values: readonly string[]
}

/** `max` is Infinity for `unbounded`. */
export interface Occurs {
  readonly min: number
  readonly max: number
}

/** What may stand in an element: other elements, a choice under its group's name, or `any` for a wildcard. */
export interface Content extends Occurs {
  readonly content: Declaration | readonly string[] | 'any'
}

export interface Attribute {
  /** As in Element: the local name, or `xml:lang`. */
  readonly name: string
  readonly required: boolean
  readonly type: SimpleType
}

export interface Declaration {
  readonly name: string
  readonly ns: string
  readonly attributes: readonly Attribute[]
  readonly anyAttribute: boolean
  /** `undefined`: no text but white space. */
  readonly text: SimpleType | undefined
  readonly children: ReadonlyMap<string, Content>
}

interface Component {
  readonly element: Element
  /** The target namespace where it stands: the includer's, for a file that has none. */
  readonly target: string
}

/** The components of a schema file and of all that it includes and imports. Throws when a file says what is not understood. */
export class Xsd {
  private readonly components = new Map<string, Component>()
  private readonly loaded = new Set<string>()
  private readonly folder: string
  private readonly target: string

  constructor(folder: string, file: string) {
    this.folder = folder
    this.target = this.load(file, undefined)
  }

  /** The global element of the file's own namespace. */
  declaration(name: string): Declaration {
    return this.declarationOf(this.component('element', name, this.target))
  }

  /** The values of a named enumeration, in the order of the file. */
  enumeration(name: string): readonly string[] {
    return this.simpleType(name, this.target).values
  }

  /** The names in a group that is a choice of elements; `ref` is written as in the file that includes or imports it. */
  choice(ref: string): readonly string[] {
    return namesOf(this.component('group', ref, this.target).element)
  }

  private load(file: string, includer: string | undefined): string {
    const root = read(join(this.folder, file))
    const target = root.attrs.get('targetNamespace') ?? includer ?? ''
    const key = `${file} ${target}`
    if (this.loaded.has(key)) return target
    this.loaded.add(key)
    for (const element of elements(root)) {
      const name = element.attrs.get('name')
      const location = element.attrs.get('schemaLocation')
      if (element.name === 'include') this.load(required(location, element), target)
      else if (element.name === 'import') this.load(required(location, element), undefined)
      else if (element.name !== 'annotation')
        this.components.set(`${element.name} {${target}}${required(name, element)}`, { element, target })
    }
    return target
  }

  private component(kind: string, ref: string, target: string): Component {
    const colon = ref.indexOf(':')
    const namespace = colon === -1 ? target : prefixes.get(ref.slice(0, colon))
    const found = this.components.get(`${kind} {${namespace}}${ref.slice(colon + 1)}`)
    if (found === undefined) throw new Error(`no ${kind} ${ref} in the schemas of ${target}`)
    return found
  }

  private declarationOf({ element, target }: Component): Declaration {
    const ref = element.attrs.get('ref')
    if (ref !== undefined) return this.declarationOf(this.component('element', ref, target))
    const name = required(element.attrs.get('name'), element)
    const type = element.attrs.get('type')
    const bare = { name, ns: target, attributes: [], anyAttribute: false, children: new Map<string, Content>() }
    if (type !== undefined && (type.startsWith('xs:') || this.has('simpleType', type, target)))
      return { ...bare, text: this.simpleType(type, target) }
    const complex =
      type === undefined ? only(element, 'complexType') : this.component('complexType', type, target).element
    return { ...bare, ...this.complexType(complex, target) }
  }

  private complexType(type: Element, target: string): Omit<Declaration, 'name' | 'ns'> {
    const simple = parts(type).find(part => part.name === 'simpleContent')
    const body = simple === undefined ? type : only(simple, 'extension')
    const text = simple === undefined ? undefined : this.simpleType(required(body.attrs.get('base'), body), target)
    const children = new Map<string, Content>()
    const attributes: Attribute[] = []
    let anyAttribute = false
    for (const part of parts(body)) {
      if (part.name === 'anyAttribute') anyAttribute = true
      else if (part.name === 'attribute' || part.name === 'attributeGroup')
        attributes.push(...this.attributesOf(part, target))
      else for (const [name, content] of this.contentOf(part, target)) children.set(name, content)
    }
    return { attributes, anyAttribute, text, children }
  }

  private attributesOf(part: Element, target: string): Attribute[] {
    const ref = part.attrs.get('ref')
    if (part.name === 'attributeGroup') {
      const group = this.component('attributeGroup', required(ref, part), target)
      return parts(group.element).flatMap(inner => this.attributesOf(inner, group.target))
    }
    const isRequired = part.attrs.get('use') === 'required'
    if (ref !== undefined) return [{ name: ref, required: isRequired, type: { base: 'xs:string', values: [] } }]
    const type = this.simpleType(required(part.attrs.get('type'), part), target)
    return [{ name: required(part.attrs.get('name'), part), required: isRequired, type }]
  }

  private simpleType(ref: string, target: string): SimpleType {
    if (ref.startsWith('xs:')) return { base: ref, values: [] }
    const type = this.component('simpleType', ref, target)
    const restriction = only(type.element, 'restriction')
    const values = parts(restriction).map(part => required(part.attrs.get('value'), part))
    return { base: required(restriction.attrs.get('base'), restriction), values }
  }

  /** How often each thing may stand there: a sequence adds its parts up, a choice takes the least and the most of them. */
  private contentOf(particle: Element, target: string): Map<string, Content> {
    const times = occursOf(particle)
    const once: Occurs = { min: 1, max: 1 }
    const all = new Map<string, Content>()
    switch (particle.name) {
      case 'any':
        all.set('any', { ...once, content: 'any' })
        break
      case 'element': {
        const declaration = this.declarationOf({ element: particle, target })
        all.set(declaration.name, { ...once, content: declaration })
        break
      }
      case 'group': {
        const group = this.component('group', required(particle.attrs.get('ref'), particle), target)
        const choice = only(group.element, 'choice')
        const name = required(group.element.attrs.get('name'), group.element)
        if (isChoiceOfElements(choice)) all.set(name, { ...once, content: namesOf(group.element) })
        else for (const [inner, content] of this.contentOf(choice, group.target)) all.set(inner, content)
        break
      }
      case 'sequence':
      case 'choice':
        for (const [name, content] of combine(
          parts(particle).map(part => this.contentOf(part, target)),
          particle.name,
        ))
          all.set(name, content)
        break
      default:
        throw new Error(`<xs:${particle.name}/> is not understood here`)
    }
    for (const [name, content] of all)
      all.set(name, { ...content, min: content.min * times.min, max: content.max * times.max })
    return all
  }

  private has(kind: string, name: string, target: string): boolean {
    return this.components.has(`${kind} {${target}}${name}`)
  }
}

function combine(all: readonly Map<string, Content>[], how: 'sequence' | 'choice'): Map<string, Content> {
  const combined = new Map<string, Content>()
  for (const name of new Set(all.flatMap(one => [...one.keys()]))) {
    const each = all.map(one => one.get(name))
    const content = each.find(one => one !== undefined)?.content
    if (content === undefined) continue
    const mins = each.map(one => one?.min ?? 0)
    const maxs = each.map(one => one?.max ?? 0)
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
    combined.set(
      name,
      how === 'sequence'
        ? { content, min: sum(mins), max: sum(maxs) }
        : { content, min: Math.min(...mins), max: Math.max(...maxs) },
    )
  }
  return combined
}

function occursOf(particle: Element): Occurs {
  const max = particle.attrs.get('maxOccurs') ?? '1'
  return {
    min: Number(particle.attrs.get('minOccurs') ?? '1'),
    max: max === 'unbounded' ? Number.POSITIVE_INFINITY : Number(max),
  }
}

function isChoiceOfElements(choice: Element): boolean {
  return parts(choice).every(part => part.name === 'element')
}

function namesOf(group: Element): string[] {
  return parts(only(group, 'choice')).map(part => required(part.attrs.get('ref'), part))
}

/** What an element of a schema holds, documentation left out. */
function parts(element: Element): Element[] {
  return elements(element).filter(part => part.name !== 'annotation')
}

function only(element: Element, name: string): Element {
  const [part, ...more] = parts(element)
  if (part?.name !== name || more.length > 0) throw new Error(`<xs:${element.name}/> must hold one <xs:${name}/>`)
  return part
}

function required(value: string | undefined, element: Element): string {
  if (value === undefined) throw new Error(`<xs:${element.name}/> lacks an attribute`)
  return value
}

function read(file: string): Element {
  const reader = new XmlReader({ level: 0, limits: { ...upstreamLimits, depth: 32 } })
  reader.push(readFileSync(file))
  const item = reader.next()
  if (item?.xml !== 'element') throw new Error(`${file}: ${item?.xml === 'error' ? item.text : 'no element'}`)
  if (item.element.ns !== xsd || item.element.name !== 'schema') throw new Error(`${file} is no XML schema`)
  return item.element
}
