/** libexpat as a process of its own (expat.py), asked in batches. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../../test/fuzz/expat.py', import.meta.url))

/** The distribution's own first: it has the libexpat that the servers of the distribution read with. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

/** What libexpat read, against what it was given: the same, less than it read itself, more, or something else. */
export type Relation = 'same' | 'less' | 'more' | 'other'
/** How its reading ended; `waiting`: the document is unfinished. */
export type Outcome = 'whole' | 'waiting' | 'refused'

export interface Question {
  readonly bytes: Buffer
  readonly events: string
  /** The document is one element; else a stream. */
  readonly alone: boolean
}

export interface Answer {
  readonly relation: Relation
  readonly outcome: Outcome
  /** Items that libexpat has read: a stream's start tag, elements, and its end tag. */
  readonly items: number
}

const relations = ['same', 'less', 'more', 'other'] as const
const outcomes = ['whole', 'waiting', 'refused'] as const

/** Its version, or `undefined` where there is no Python with libexpat. */
export function oracleVersion(): string | undefined {
  const ran = spawnSync(python, [script, '--version'], { encoding: 'utf8' })
  return ran.status === 0 ? ran.stdout.trim() : undefined
}

export class Oracle {
  private readonly child: ChildProcess
  private readonly waiting: { readonly size: number; resolve(answer: Buffer): void; reject(error: Error): void }[] = []
  private come: Buffer = Buffer.alloc(0)

  constructor() {
    this.child = spawn(python, ['-I', '-S', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdout?.on('data', (bytes: Buffer) => this.take(bytes))
    this.child.on('error', error => this.lost(error))
    this.child.on('close', status => this.lost(new Error(`the oracle ended with status ${status}`)))
    this.child.stdin?.on('error', () => {}) // said by 'close'
  }

  /** Rejects if the process ends before it has answered. */
  async ask(questions: readonly Question[]): Promise<Answer[]> {
    const parts: Buffer[] = []
    for (const { bytes, events, alone } of questions) {
      const given = Buffer.from(events)
      parts.push(length(alone ? bytes.length + 0x8000_0000 : bytes.length), bytes, length(given.length), given)
    }
    const batch = Buffer.concat(parts)
    const answer = await new Promise<Buffer>((resolve, reject) => {
      if (this.child.exitCode !== null) return reject(new Error('the oracle has ended'))
      this.waiting.push({ size: questions.length * 4, resolve, reject })
      this.child.stdin?.write(Buffer.concat([length(batch.length), batch]))
    })
    return questions.map((_, i) => ({
      relation: relations[answer[i * 4] as number] as Relation,
      outcome: outcomes[answer[i * 4 + 1] as number] as Outcome,
      items: answer.readUInt16BE(i * 4 + 2),
    }))
  }

  close(): void {
    this.child.stdin?.end()
  }

  private take(bytes: Buffer): void {
    this.come = Buffer.concat([this.come, bytes])
    for (let next = this.waiting[0]; next !== undefined && this.come.length >= next.size; next = this.waiting[0]) {
      this.waiting.shift()
      next.resolve(this.come.subarray(0, next.size))
      this.come = this.come.subarray(next.size)
    }
  }

  private lost(error: Error): void {
    for (const { reject } of this.waiting.splice(0)) reject(error)
  }
}

function length(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
