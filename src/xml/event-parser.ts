/**
 * The saxes parser with its handlers set. `on()` stores a handler under a computed name; after the sixth such store V8 keeps the
 * parser's fields in a dictionary, and each access to one of them in the parser's loops becomes a call. Here every field is
 * stored by its own name, so that the fields stay where V8's compiled code finds them. A test asserts it.
 */
import { SaxesParser, type SaxesTagNS, type XMLDecl } from 'saxes'

export interface XmlEvents {
  readonly error: (error: Error) => void
  readonly comment: () => void
  readonly processingInstruction: () => void
  readonly doctype: () => void
  readonly declaration: (declaration: XMLDecl) => void
  /** A start tag's name was read. */
  readonly tagStart: (tag: { readonly name: string }) => void
  /** An attribute was read, namespace declarations included. `colon`: its place in the name; -1: there is none. */
  readonly attribute: (name: string, colon: number, value: string) => void
  /** A start tag was read. */
  readonly tagOpen: (tag: SaxesTagNS) => void
  readonly tagClose: (tag: SaxesTagNS) => void
  readonly text: (text: string) => void
  readonly cdata: (text: string) => void
  /** What stands between `&` and `;`, before it is replaced. */
  readonly reference: (reference: string) => void
}

/** Private members of saxes that are set or read here. */
interface Internals {
  errorHandler: unknown
  commentHandler: unknown
  piHandler: unknown
  doctypeHandler: unknown
  xmldeclHandler: unknown
  openTagStartHandler: unknown
  pushAttrib: unknown
  pushAttribNS(name: string, value: string): void
  qname(name: string): unknown
  openTagHandler: unknown
  closeTagHandler: unknown
  textHandler: unknown
  cdataHandler: unknown
  parseEntity(reference: string): string
  /** What was read of a reference that is not complete. */
  entity: string
  readonly state: number
  readonly stateTable: readonly unknown[]
  readonly sEntity: unknown
  readonly sBegin: unknown
  readonly sBeginWhitespace: unknown
  readonly sText: unknown
}

const options = {
  xmlns: true,
  fragment: false,
  position: false,
  defaultXMLVersion: '1.0',
  forceXMLVersion: true,
} as const
const { parseEntity, pushAttribNS } = SaxesParser.prototype as unknown as Internals

export class EventParser extends SaxesParser<typeof options> {
  constructor(events: XmlEvents) {
    super(options)
    const parser = this as unknown as Internals
    parser.errorHandler = events.error
    parser.commentHandler = events.comment
    parser.piHandler = events.processingInstruction
    parser.doctypeHandler = events.doctype
    parser.xmldeclHandler = events.declaration
    parser.openTagStartHandler = events.tagStart
    // saxes would make an object of each attribute, and a set of their names: the reader keeps them in its own map. It only has to
    // know namespace declarations.
    parser.pushAttrib = (name: string, value: string) => {
      const colon = name.indexOf(':')
      events.attribute(name, colon, value)
      if (colon === -1 ? name === 'xmlns' : name.startsWith('xmlns:')) pushAttribNS.call(parser, name, value)
      // A name such as `:a` or `a:b:c` is refused by it.
      else if (colon !== -1) parser.qname(name)
    }
    parser.openTagHandler = events.tagOpen
    parser.closeTagHandler = events.tagClose
    parser.textHandler = events.text
    parser.cdataHandler = events.cdata
    parser.parseEntity = reference => {
      events.reference(reference)
      return parseEntity.call(parser, reference)
    }
  }

  /** What was read of a reference that is not complete. */
  get pendingReference(): string {
    return (this as unknown as Internals).entity
  }

  set pendingReference(text: string) {
    const parser = this as unknown as Internals
    if (text !== parser.entity) parser.entity = text
  }

  /** It is reading a reference. */
  get isInReference(): boolean {
    const { state, stateTable, sEntity } = this as unknown as Internals
    return stateTable[state] === sEntity
  }

  /** It is reading what stands between two tags, or before the first. */
  get isInText(): boolean {
    const { state, stateTable, sBegin, sBeginWhitespace, sText } = this as unknown as Internals
    const reads = stateTable[state]
    return reads === sText || reads === sBegin || reads === sBeginWhitespace
  }
}
