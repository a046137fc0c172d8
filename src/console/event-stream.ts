/** A viewer of the live events by server-sent events, as browsers and curl read them. */
import type { FastifyReply } from 'fastify'
import type { Query } from '../admin/query.ts'
import type { LiveEvents } from './live-events.ts'

/** Bytes that may wait for a viewer, besides its first events; above it the viewer is disconnected. */
const waitingAtMost = 1_048_576
/** Milliseconds after which a browser that was cut off comes back. */
const retry = 2_000

export interface EventsOptions {
  readonly liveEvents: LiveEvents
  readonly query: Query
  /** The last event that this viewer has seen. */
  readonly after: string | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds. */
  readonly heartbeat: number
  /** Whether it may still look. */
  isAdmitted(): boolean
  /** When to ask that besides; until what is returned is called. */
  whenEnded(check: () => void): () => void
}

/** Answers with events until the viewer leaves; `false`: there are too many viewers, and nothing was answered. */
export function serveEvents(reply: FastifyReply, options: EventsOptions): boolean {
  const { liveEvents, query, after, headers, heartbeat, isAdmitted, whenEnded } = options
  const { raw } = reply
  const texts: string[] = [`retry: ${retry}\n\n`]
  let room: number | undefined
  const write = (text: string) => {
    if (room === undefined) return void texts.push(text)
    raw.write(text)
    if (raw.writableLength > room) raw.destroy()
  }
  const leave = liveEvents.join({ query, see: (id, json) => write(`id: ${id}\ndata: ${json}\n\n`) }, after)
  if (leave === undefined) return false
  reply.hijack()
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
  raw.write(texts.join(''))
  room = raw.writableLength + waitingAtMost
  const timer = setInterval(() => (isAdmitted() ? write(': here\n\n') : raw.end()), heartbeat)
  timer.unref()
  const check = () => {
    if (!isAdmitted()) raw.end()
  }
  const forget = whenEnded(check)
  const gone = () => {
    clearInterval(timer)
    forget()
    leave()
  }
  raw.on('error', () => {}) // told by 'close'
  raw.once('close', gone)
  // It may have gone before anybody listened.
  if (raw.destroyed) gone()
  return true
}
