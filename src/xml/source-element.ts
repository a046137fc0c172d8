/**
 * Elements that were read by canonical.ts: they keep their text. Attributes and children are made of it when somebody asks for
 * them, and xml/writer.ts writes the text itself. canonical.ts has checked every character, so nothing is checked here.
 */
import type { Element, Node } from './element.ts'

/** Positions in the text of an element. */
export interface Places {
  /** The content, which stands between the start tag and the end tag; both are the same where there is none. */
  readonly from: number
  readonly to: number
  /** The declaration of the default namespace in the start tag, with the space before it; both are 0 where there is none. */
  readonly declaredFrom: number
  readonly declaredTo: number
}

/** The attributes that every stanza is asked for (RFC 6120 section 8.1); `undefined`: it has none of that name. */
export interface StanzaAttributes {
  readonly type: string | undefined
  readonly to: string | undefined
  readonly from: string | undefined
  readonly id: string | undefined
}

export class SourceElement implements Element {
  readonly name: string
  readonly ns: string
  readonly common: StanzaAttributes
  private readonly text: string
  private readonly places: Places
  private ownAttributes: ReadonlyMap<string, string> | undefined
  private ownChildren: readonly Node[] | undefined

  /** `text`: from the `<` of the start tag to the `>` of the end tag. */
  constructor(name: string, ns: string, text: string, places: Places, common: StanzaAttributes) {
    this.name = name
    this.ns = ns
    this.text = text
    this.places = places
    this.common = common
  }

  get attrs(): ReadonlyMap<string, string> {
    this.ownAttributes ??= new TextParser(this.text, 1 + this.name.length).attributes().attrs
    return this.ownAttributes
  }

  get children(): readonly Node[] {
    const { from, to } = this.places
    this.ownChildren ??= from === to ? [] : new TextParser(this.text, from).nodes(this.ns)
    return this.ownChildren
  }

  /** What stands between the start tag and the end tag. */
  get content(): string {
    const { from, to } = this.places
    return this.text.slice(from, to)
  }

  /**
   * The whole element, where `outside` is the default namespace. A declaration that would only repeat it is left out; one that is
   * missing is put in.
   */
  within(outside: string): string {
    const { text, places, name, ns } = this
    const isDeclared = places.declaredTo > 0
    if (isDeclared === (ns !== outside)) return text
    if (isDeclared) return text.slice(0, places.declaredFrom) + text.slice(places.declaredTo)
    const end = 1 + name.length
    return `${text.slice(0, end)} xmlns="${ns}"${text.slice(end)}`
  }

  withAttrs(attrs: ReadonlyMap<string, string>): Element {
    return new ReattributedElement(this, attrs)
  }
}

/** A `SourceElement` with other attributes: its content is still written as it was read. */
export class ReattributedElement implements Element {
  readonly name: string
  readonly ns: string
  readonly attrs: ReadonlyMap<string, string>
  private readonly source: SourceElement

  constructor(source: SourceElement, attrs: ReadonlyMap<string, string>) {
    this.name = source.name
    this.ns = source.ns
    this.attrs = attrs
    this.source = source
  }

  get children(): readonly Node[] {
    return this.source.children
  }

  get content(): string {
    return this.source.content
  }

  withAttrs(attrs: ReadonlyMap<string, string>): Element {
    return new ReattributedElement(this.source, attrs)
  }
}

/** `false`: no child has a namespace that begins so. Of other elements than a `SourceElement` this is not known without looking at them. */
export function mayHoldNamespace(element: Element, beginning: string): boolean {
  return !(element instanceof SourceElement) || element.content.includes(beginning)
}

/** The same as an object of its own, which may be spread: programs that add rules do that. */
export function plainElement(element: Element): Element {
  const { name, ns, attrs, children } = element
  return element.withAttrs === undefined ? element : { name, ns, attrs, children }
}

/** A plain element of text that canonical.ts has accepted. `at`: where its name ends; `inside`: the default namespace of its children. */
export function elementOf(text: string, at: number, name: string, ns: string, inside: string): Element {
  const parser = new TextParser(text, at)
  const { attrs } = parser.attributes()
  return { name, ns, attrs, children: parser.isEmptyTag ? [] : parser.content(inside) }
}

/** Makes nodes of text that canonical.ts has accepted. */
class TextParser {
  private readonly text: string
  private at: number

  constructor(text: string, at: number) {
    this.text = text
    this.at = at
  }

  /** It stands at the end of an empty-element tag. */
  get isEmptyTag(): boolean {
    return this.text.charCodeAt(this.at) === slash
  }

  /** The nodes behind a start tag, at whose end it stands. */
  content(outside: string): Node[] {
    this.at++
    return this.nodes(outside)
  }

  /** The nodes up to the end tag of the element that holds them. `outside`: the default namespace there. */
  nodes(outside: string): Node[] {
    const { text } = this
    const nodes: Node[] = []
    for (;;) {
      const less = text.indexOf('<', this.at)
      if (less > this.at) nodes.push(unescaped(text.slice(this.at, less)))
      this.at = less + 1
      if (text.charCodeAt(this.at) === slash) return nodes
      nodes.push(this.element(outside))
    }
  }

  /** The attributes of a start tag, from the end of the element's name on. */
  attributes(): { attrs: ReadonlyMap<string, string>; ns: string | undefined } {
    const { text } = this
    let attrs: Map<string, string> | undefined
    let ns: string | undefined
    for (;;) {
      while (text.charCodeAt(this.at) === space) this.at++
      const code = text.charCodeAt(this.at)
      if (code === slash || code === greater) return { attrs: attrs ?? noAttributes, ns }
      const equals = text.indexOf('=', this.at)
      const end = text.indexOf(text[equals + 1] as string, equals + 2)
      const name = text.slice(this.at, equals)
      const value = unescaped(text.slice(equals + 2, end))
      this.at = end + 1
      if (name === 'xmlns') {
        ns = value
        continue
      }
      attrs ??= new Map()
      attrs.set(name, value)
    }
  }

  /** An element; its `<` was read. */
  private element(outside: string): Element {
    const { text } = this
    const from = this.at
    while (!endsName(text.charCodeAt(this.at))) this.at++
    const name = text.slice(from, this.at)
    const { attrs, ns = outside } = this.attributes()
    if (text.charCodeAt(this.at) === slash) {
      this.at += 2
      return { name, ns, attrs, children: [] }
    }
    this.at++
    const children = this.nodes(ns)
    // Behind the end tag.
    this.at += 1 + name.length + 1
    return { name, ns, attrs, children }
  }
}

const space = 0x20
const slash = 0x2f
const greater = 0x3e
const noAttributes: ReadonlyMap<string, string> = new Map()

function endsName(code: number): boolean {
  return code === space || code === slash || code === greater
}

const characters: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&quot;': '"',
  '&apos;': "'",
}

function unescaped(text: string): string {
  return text.includes('&') ? text.replace(/&\w+;/g, reference => characters[reference] as string) : text
}
