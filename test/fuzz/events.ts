/** Trees as strings that libexpat's events spell too (expat.py): what XML cannot hold stands between the parts. */
import type { StreamItem } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import type { Element } from '../../src/xml/element.ts'

const [starts, then, started, ends, separator] = ['\u0001', '\u0002', '\u0003', '\u0004', '\f']
const xml = 'http://www.w3.org/XML/1998/namespace'

export function startOf(namespace: string, name: string, attrs: ReadonlyMap<string, string>): string {
  let out = namespace === '' ? `${starts}${name}` : `${starts}${namespace}${separator}${name}`
  for (const [key, value] of attrs) out += `${then}${expanded(key)}${then}${value}`
  return out + started
}

export function eventsOf(element: Element): string {
  let out = startOf(element.ns, element.name, element.attrs)
  for (const node of element.children) out += typeof node === 'string' ? node : eventsOf(node)
  return out + ends
}

/** What libexpat says of an item of a TCP stream; `undefined` where it says nothing that is compared. */
export function itemEvents(item: StreamItem): string | undefined {
  if (item.item === 'element') return eventsOf(item.element)
  if (item.item === 'open') return startOf(ns.stream, 'stream', item.header)
  return item.item === 'close' ? ends : undefined
}

function expanded(key: string): string {
  if (key.charCodeAt(0) === 0x7b) {
    const end = key.lastIndexOf('}')
    return `${key.slice(1, end)}${separator}${key.slice(end + 1)}`
  }
  return key.startsWith('xml:') ? `${xml}${separator}${key.slice(4)}` : key
}
