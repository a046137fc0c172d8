/** A thread of a campaign: judges its share of the documents, batch by batch, and says what came of each batch. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Class, Differential, isFinding, wayOf } from './differential.ts'
import { Oracle } from './oracle.ts'

export interface Share {
  readonly seed: number
  readonly documents: number
  /** This thread's number among so many. */
  readonly worker: number
  readonly workers: number
}

export interface Finding {
  readonly document: number
  readonly class: Class
  /** As short as it could be made, in Latin-1 where it is no UTF-8. */
  readonly bytes: Buffer
}

export interface Batch {
  readonly documents: number
  readonly elements: number
  readonly plain: number
  /** By the way's name and the class, tab between. */
  readonly counts: Readonly<Record<string, number>>
  readonly findings: readonly Finding[]
}

const size = 256
/** Found by this thread and made short; the rest is counted only. */
const shownAtMost = 10

async function work({ seed, documents, worker, workers }: Share, say: (batch: Batch) => void): Promise<void> {
  const oracle = new Oracle()
  const differential = new Differential(seed, oracle)
  let shown = 0
  const judge = async (from: number) => {
    const numbers = Array.from({ length: Math.min(size, documents - from) }, (_, i) => from + i)
    const counts: Record<string, number> = {}
    const findings: Finding[] = []
    let elements = 0
    let plain = 0
    for (const judged of await differential.judge(numbers)) {
      const key = `${wayOf(judged.document).name}\t${judged.class}`
      counts[key] = (counts[key] ?? 0) + 1
      elements += judged.elements
      plain += judged.plain
      if (!isFinding(judged.class) || ++shown > shownAtMost) continue
      findings.push({ document: judged.document, class: judged.class, bytes: await differential.minimal(judged) })
    }
    say({ documents: numbers.length, elements, plain, counts, findings })
  }
  // One is read here while libexpat reads another.
  const pending: Promise<void>[] = []
  for (let from = worker * size; from < documents; from += workers * size) {
    pending.push(judge(from))
    if (pending.length > 1) await pending.shift()
  }
  await Promise.all(pending)
  oracle.close()
}

// Nobody reads the stacks of the errors by which a reader refuses, and making them takes a tenth of the time.
Error.stackTraceLimit = 0
await work(workerData as Share, batch => parentPort?.postMessage(batch))
