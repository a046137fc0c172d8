/** Many documents, several threads, one result. */
import { availableParallelism } from 'node:os'
import { performance } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { type Class, classes } from './differential.ts'
import { oracleVersion } from './oracle.ts'
import { ways } from './ways.ts'
import type { Batch, Finding, Share } from './worker.ts'

export interface CampaignOptions {
  readonly seed: number
  readonly documents: number
  readonly workers?: number | undefined
  progress?(done: number): void
}

export interface Result {
  readonly seed: number
  readonly documents: number
  readonly workers: number
  readonly seconds: number
  readonly versions: { readonly node: string; readonly expat: string }
  /** Elements that were forwarded, each written, read again and compared. */
  readonly elements: number
  /** Those of them that canonical.ts has accepted. */
  readonly plain: number
  /** By way and class; every pair is there. */
  readonly counts: Readonly<Record<string, Readonly<Record<Class, number>>>>
  readonly findings: readonly Finding[]
}

const classNames = Object.keys(classes) as Class[]

/** Rejects when a thread or its oracle fails. */
export async function campaign({ seed, documents, workers, progress }: CampaignOptions): Promise<Result> {
  const threads = workers ?? availableParallelism()
  const begun = performance.now()
  const counts = Object.fromEntries(
    ways.map(({ name }) => [name, Object.fromEntries(classNames.map(each => [each, 0])) as Record<Class, number>]),
  )
  const findings: Finding[] = []
  let [done, elements, plain] = [0, 0, 0]
  const take = (batch: Batch) => {
    done += batch.documents
    elements += batch.elements
    plain += batch.plain
    findings.push(...batch.findings)
    for (const [key, count] of Object.entries(batch.counts)) {
      const [way, found] = key.split('\t') as [string, Class]
      const row = counts[way] as Record<Class, number>
      row[found] += count
    }
    progress?.(done)
  }
  const shares = Array.from({ length: threads }, (_, worker): Share => ({ seed, documents, worker, workers: threads }))
  await Promise.all(shares.map(share => worked(share, take)))
  return {
    seed,
    documents: done,
    workers: threads,
    seconds: (performance.now() - begun) / 1000,
    versions: { node: process.version, expat: oracleVersion() ?? 'none' },
    elements,
    plain,
    counts,
    findings: findings.map(found => ({ ...found, bytes: Buffer.from(found.bytes) })),
  }
}

function worked(share: Share, take: (batch: Batch) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: share,
      // Under tap it would be measured, at half the speed.
      env: { ...process.env, NODE_V8_COVERAGE: '' },
      // A document's garbage dies young, if there is room for it to.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    })
    worker.on('message', take)
    worker.on('error', reject)
    worker.on('exit', status => (status === 0 ? resolve() : reject(new Error(`a thread ended with status ${status}`))))
  })
}

/** How many documents of all ways are of this class. */
export function total({ counts }: Result, found: Class): number {
  return Object.values(counts).reduce((sum, row) => sum + row[found], 0)
}

export function findingsOf(result: Result): number {
  return classNames.reduce((sum, each) => sum + (classes[each].finding ? total(result, each) : 0), 0)
}

/** The result as lines for people; a finding with what makes it again. */
export function report(result: Result): string[] {
  const { seed, documents, seconds, workers, versions, elements, plain, counts, findings } = result
  const names = ways.map(({ name }) => name)
  const row = (title: string, cells: readonly (string | number)[]) =>
    `${title.padEnd(74)}${cells.map(cell => String(cell).padStart(22)).join('')}`
  const rate = Math.round(documents / seconds)
  return [
    `seed ${seed}, ${documents} documents, ${seconds.toFixed(1)} s (${rate} a second, ${workers} threads)`,
    `Node ${versions.node}, ${versions.expat}`,
    `${elements} elements were forwarded, written again, and read again by both; ${plain} of them by the fast path`,
    row('', names),
    ...classNames.map(each =>
      row(
        `${each}: ${classes[each].text}${classes[each].finding ? ' (must be 0)' : ''}`,
        names.map(name => counts[name]?.[each] ?? 0),
      ),
    ),
    ...findings.flatMap(({ document, class: found, bytes }) => [
      `${found}: npm run fuzz -- --seed ${seed} --document ${document}`,
      `  ${JSON.stringify(bytes.toString('latin1'))}`,
    ]),
  ]
}
