/**
 * A histogram without labels, kept in numbers: prom-client's own makes an object and a hash for each observation. prom-client gets the
 * numbers at each scrape.
 */
import { Histogram } from 'prom-client'

/** What prom-client keeps of one set of labels. A value is counted in the first bucket that holds it. */
interface Kept {
  sum: number
  count: number
  readonly bucketValues: Record<string, number>
}

type Configuration = ConstructorParameters<typeof Histogram>[0] & { readonly buckets: readonly number[] }

export class UnlabelledHistogram extends Histogram {
  private readonly bounds: Float64Array
  private readonly counts: Float64Array
  private sum = 0

  constructor(configuration: Configuration) {
    super({
      ...configuration,
      collect() {
        ;(this as unknown as UnlabelledHistogram).keep()
      },
    })
    this.bounds = Float64Array.from(configuration.buckets)
    this.counts = new Float64Array(this.bounds.length + 1)
  }

  /** So many values that are alike. */
  observeAll(value: number, times: number): void {
    const { bounds } = this
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + times
    this.sum += value * times
  }

  private keep(): void {
    const [kept] = Object.values((this as unknown as { readonly hashMap: Record<string, Kept> }).hashMap)
    if (kept === undefined) return
    kept.sum = this.sum
    kept.count = this.counts.reduce((sum, count) => sum + count, 0)
    for (const [index, bound] of this.bounds.entries()) kept.bucketValues[bound] = this.counts[index] as number
  }
}
