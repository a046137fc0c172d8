import { quoted } from './writer.ts'

/** ` =""` around a name and a value, whose quotes `quoted` has counted: a space and `=`. */
const around = 2

/**
 * By how much a start tag is longer when it is written anew (writer.ts), in UTF-16 units: each element declares the namespaces that its
 * surroundings lack, and one long name, declared once and used by a thousand elements through its prefix, becomes a thousand long names.
 * What the tag itself declared is set against it. Beyond that counts each name that an attribute repeats: the tree has it in each key.
 */
export class RewriteGrowth {
  private came = 0
  private owed = 0
  private repeated = 0
  private readonly uris = new Set<string>()

  begin(): void {
    this.came = 0
    this.owed = 0
    this.repeated = 0
    if (this.uris.size > 0) this.uris.clear()
  }

  /** A declaration that the tag has: `xmlns` or `xmlns:p`. */
  declared(name: string, uri: string): void {
    this.came += around + name.length + quoted(uri).length
  }

  /** The element is of another namespace than its surroundings. */
  element(uri: string): void {
    this.owed += around + 'xmlns'.length + quoted(uri).length
  }

  /** An attribute of a namespace, by this prefix. */
  attribute(prefix: string, uri: string): void {
    const own = `n${this.uris.size}`
    if (own.length > prefix.length) this.owed += own.length - prefix.length
    if (this.uris.has(uri)) {
      this.repeated += uri.length
      return
    }
    this.owed += around + 'xmlns:'.length + own.length + quoted(uri).length
    this.uris.add(uri)
  }

  /** Of the whole tag. */
  get total(): number {
    return Math.max(this.owed - this.came, 0) + this.repeated
  }
}
