import { quoted } from './writer.ts'

/** ` =""` around a name and a value, whose quotes `quoted` has counted: a space and `=`. */
const around = 2

/**
 * The number of UTF-16 units by which a start tag becomes longer when xml/writer.ts writes it. The writer declares a namespace at
 * each element whose surroundings lack it, so one long name that is declared once and used by a thousand elements with a prefix
 * becomes a thousand long names. Declarations that the tag itself had are subtracted. Names that attributes repeat are added: the
 * element has the name in each key. A name is counted between double quotes, which is never the shorter spelling.
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

  /** The total of the tag. */
  get total(): number {
    return Math.max(this.owed - this.came, 0) + this.repeated
  }
}
