import { isAlias, isMap, isScalar, isSeq, type Node } from 'yaml'
import { dotted, join, type Source } from './source.ts'

/** Variables by name; `process.env` is one. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Limits what aliases can multiply; a file written by a person has some thousand parts. */
const maxParts = 100_000

/** Puts every part below the node into the source, with aliases and variables put in; gives the value of the whole. */
export function valuesOf(root: Node, source: Source, environment: Environment): unknown {
  return new Walk(source, environment).visit(root, { pointer: '', key: '', offset: offsetOf(root) })
}

interface Spot {
  readonly pointer: string
  readonly key: string
  readonly offset: number
}

class Walk {
  /** The anchors so far: an alias means the last one before it. */
  private readonly anchors = new Map<string, Node>()
  private readonly open = new Set<Node>()
  private left = maxParts
  private readonly source: Source
  private readonly environment: Environment

  constructor(source: Source, environment: Environment) {
    this.source = source
    this.environment = environment
  }

  visit(node: Node | null, spot: Spot): unknown {
    this.left -= 1
    if (this.left === -1) {
      this.source.report('', `has more than ${maxParts} parts with its aliases put in`, 'write it with fewer aliases')
    }
    if (this.left < 0) return undefined
    if (isAlias(node)) return this.alias(node.source, spot)
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) this.anchors.set(node.anchor, node)
    const written = isScalar(node) ? node.value : node === null ? null : undefined
    // Added before its parts: a report of one of them looks for the part around it.
    this.source.put(spot.pointer, { key: spot.key, offset: spot.offset, value: undefined, written })
    const value = this.value(node, spot)
    this.source.put(spot.pointer, { key: spot.key, offset: spot.offset, value, written })
    return value
  }

  private alias(name: string, spot: Spot): unknown {
    const target = this.anchors.get(name)
    if (target !== undefined && !this.open.has(target)) return this.visit(target, spot)
    this.source.put(spot.pointer, { key: spot.key, offset: spot.offset, value: undefined, written: undefined })
    const message = target === undefined ? 'is an alias whose anchor does not stand before it' : 'contains itself'
    this.source.report(spot.pointer, message, 'write the value itself')
    return undefined
  }

  private value(node: Node | null, spot: Spot): unknown {
    if (isScalar(node)) return typeof node.value === 'string' ? this.text(node.value, spot.pointer) : node.value
    if (!isMap<Node, Node | null>(node) && !isSeq<Node>(node)) return null
    this.open.add(node)
    const value = isMap<Node, Node | null>(node) ? this.map(node.items, spot) : this.list(node.items, spot)
    this.open.delete(node)
    return value
  }

  private list(items: readonly Node[], spot: Spot): unknown[] {
    return items.map((item, index) => {
      const pointer = join(spot.pointer, String(index))
      return this.visit(item, { pointer, key: `${spot.key}[${index}]`, offset: offsetOf(item) })
    })
  }

  private map(items: readonly { readonly key: Node; readonly value: Node | null }[], spot: Spot): object {
    const map: Record<string, unknown> = Object.create(null)
    for (const item of items) {
      const name = isScalar(item.key) ? String(item.key.value) : ''
      const entry = { pointer: join(spot.pointer, name), key: dotted(spot.key, name), offset: offsetOf(item.key) }
      if (name in map) {
        const first = this.source.lineOf(this.source.place(entry.pointer)?.offset ?? 0)
        this.source.reportAt(entry.offset, entry.key, `stands on line ${first} already`, 'keep one of the two')
      }
      map[name] = this.visit(item.value, entry)
    }
    return map
  }

  /**
   * `${NAME}` stands for a variable when it is the whole text. As a part of a text it would be taken for the value itself, so it
   * is reported.
   */
  private text(text: string, pointer: string): string {
    if (!/\$\{\w*\}/.test(text)) return text
    const name = /^\$\{([A-Za-z_]\w*)\}$/.exec(text)?.[1]
    // Only own properties: 'constructor' is no variable.
    const value = name !== undefined && Object.hasOwn(this.environment, name) ? this.environment[name] : undefined
    if (name === undefined) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
      this.source.report(pointer, 'holds a ${...} that is not the whole value', 'write ${NAME} alone, or none')
    } else if (value === undefined) {
      this.source.report(pointer, `stands for the variable ${name}, which is not set`, `set ${name} in the environment`)
    }
    return value ?? text
  }
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0
}
