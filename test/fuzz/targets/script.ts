/**
 * A script of what happens to sessions, as bytes, so that it can be damaged: records, each begun by U+001E, of a letter and what
 * belongs to it. The letters that are none of these do nothing.
 */
import type { Wire } from '../../../src/stream/framing.ts'

export type Step =
  /** A new connection at the same gate. */
  | { readonly step: 'begin'; readonly wire: Wire; readonly starttls: boolean; readonly upstreamStarttls: boolean }
  | { readonly step: 'bytes'; readonly from: 'client' | 'upstream'; readonly bytes: Buffer }
  | { readonly step: Plain }

const plain = {
  o: 'connected',
  r: 'refused',
  s: 'secured client',
  S: 'secured upstream',
  x: 'closed client',
  X: 'closed upstream',
  d: 'deadline',
  l: 'late',
  k: 'stalled client',
  K: 'stalled upstream',
  t: 'stop',
} as const
export type Plain = (typeof plain)[keyof typeof plain]

const mark = 0x1e

export function stepsOf(script: Buffer): Step[] {
  const steps: Step[] = []
  for (let at = script.indexOf(mark); at !== -1; ) {
    const next = script.indexOf(mark, at + 1)
    const step = stepOf(script.subarray(at + 1, next === -1 ? script.length : next))
    if (step !== undefined) steps.push(step)
    at = next
  }
  return steps
}

function stepOf(record: Buffer): Step | undefined {
  const letter = String.fromCharCode(record[0] ?? 0)
  const rest = record.subarray(1)
  if (letter === 'c' || letter === 'u')
    return { step: 'bytes', from: letter === 'c' ? 'client' : 'upstream', bytes: rest }
  if (letter === 'n') {
    const [wire, starttls, upstreamStarttls] = [0, 1, 2].map(i => rest[i] === 0x31)
    const isWebSocket = wire === true
    return {
      step: 'begin',
      wire: isWebSocket ? 'websocket' : 'tcp',
      starttls: !isWebSocket && starttls === true,
      upstreamStarttls: upstreamStarttls === true,
    }
  }
  return Object.hasOwn(plain, letter) ? { step: plain[letter as keyof typeof plain] } : undefined
}

/** Records from lines: `c <presence/>` is said by the client, `o` alone is an event. */
export function scriptOf(lines: string): Buffer {
  const records = lines
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => `\u001e${line[0]}${line.slice(2)}`)
  return Buffer.from(records.join(''))
}
