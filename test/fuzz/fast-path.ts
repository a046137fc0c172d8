/** What canonical.ts accepts is read as saxes reads it: the same document with the fast path and without it. */

import type { Element } from '../../src/xml/element.ts'
import type { XmlLimits } from '../../src/xml/limits.ts'
import { fastPath } from '../../src/xml/reader.ts'
import { SourceElement } from '../../src/xml/source-element.ts'
import { type Cut, type Passage, pass } from './passage.ts'
import type { Way } from './ways.ts'

/** The same as `pass`, by saxes alone. */
export function passSlowly(bytes: Buffer, way: Way, limits: XmlLimits, cut?: Cut): Passage {
  fastPath.isOn = false
  try {
    return pass(bytes, way, limits, cut)
  } finally {
    fastPath.isOn = true
  }
}

/** How many elements canonical.ts has accepted. */
export function plainElements(elements: readonly Element[] = []): number {
  return elements.filter(element => element instanceof SourceElement).length
}
