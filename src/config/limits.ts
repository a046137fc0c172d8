/**
 * The limits on what peers may do. Every limit has a default and a key under `limits:`. Times are milliseconds here and seconds
 * in the file.
 */

import { clientLimits, clientLimitsFor, strangerLimits, upstreamLimits } from '../stream/limits.ts'
import type { Pace } from '../transport/token-bucket.ts'
import type { XmlLimits } from '../xml/limits.ts'
import { defaultPendingRequests, type PendingRequestLimits } from './pending-requests.ts'

export interface Limits {
  /** Of one element of a client that has not authenticated. */
  readonly beforeLogin: XmlLimits
  /** Of one that has. */
  readonly client: XmlLimits
  readonly upstream: XmlLimits
  readonly times: Times
  /** Failed logins of one stream (RFC 6120 section 6.4.5); the last of them ends it. */
  readonly loginFailures: number
  /** Sessions of one account (RFC 6120 section 7.6.2.1). */
  readonly resources: number
  /** Subscription requests that an account may send within an hour; left out: as many as it likes. */
  readonly requestsPerHour?: number | undefined
  /** Subscriptions, granted unasked, that an account may take back within an hour; left out: none is looked for. */
  readonly compensationsPerHour?: number | undefined
  /** What becomes of the subscription requests of strangers; left out: all are shown. */
  readonly pendingRequests?: PendingRequestLimits | undefined
  readonly rate: Rate
  /** Fragments of one WebSocket message. */
  readonly fragments: number
  /** Bytes that may wait to be written to one side before the other is no longer read. */
  readonly buffer: number
  readonly http: {
    /** Bytes of a request's header. */
    readonly headerBytes: number
    readonly header: number
    readonly request: number
  }
  readonly connections: {
    /** Of all clients; `undefined`: what the descriptors of the process allow. */
    readonly total: number | undefined
    /** At a time, of one IPv4 address or one /64 of IPv6. */
    readonly perAddress: number
    readonly newPerSecond: number
    readonly newBurst: number
  }
  /** CIDRs that have no limit by address. Trusted proxies never have one: their clients do. */
  readonly exempt: readonly string[]
  readonly overload: {
    /** Milliseconds that the event loop may be late before new connections are refused. */
    readonly lag: number
    /** Parts of the heap's limit, 0 to 1. Above `refuseAt` new connections are refused; above `closeAt` sessions are ended. */
    readonly refuseAt: number
    readonly closeAt: number
    /** New connections each second that are served at once; others wait. */
    readonly admittedPerSecond: number
    /** Connections that may wait. */
    readonly queue: number
  }
  readonly drain: {
    /** Between `/readyz` turning 503 and the listeners closing. */
    readonly notReady: number
    /** Over which the streams are ended. */
    readonly spread: number
    /** After which what is left is cut off. */
    readonly deadline: number
    /** Sessions that can be resumed are kept in the store for the next process. */
    readonly resumable: boolean
  }
}

/** None is prolonged by single bytes. None runs while the gate itself does not read. */
export interface Times {
  /** For a stream header that is due. */
  readonly header: number
  /** For a TLS handshake. */
  readonly tls: number
  /** The client's own share of the time from the transport's beginning to a bound resource. */
  readonly bound: number
  /** The same where somebody fills in a registration form, or a SASL2 task is open. */
  readonly form: number
  /** For the server's answer while a client negotiates. */
  readonly answer: number
  /** From the first byte of an element to its last, besides what its size needs. */
  readonly stanza: number
  /** Of silence, after which a client is pinged. */
  readonly idle: number
  /** In which a peer takes nothing of what waits to be written to it. */
  readonly slow: number
}

/** Of one client connection. Beyond it, the connection is not read for as long as it takes. */
export interface Rate {
  /** First-level elements of one that has not authenticated. */
  readonly beforeLogin: Pace
  readonly stanzas: Pace
  readonly bytes: Pace
}

export const defaultLimits: Limits = {
  beforeLogin: strangerLimits,
  client: clientLimits,
  upstream: upstreamLimits,
  times: {
    header: 5_000,
    tls: 10_000,
    bound: 30_000,
    form: 300_000,
    answer: 60_000,
    stanza: 30_000,
    idle: 900_000,
    slow: 60_000,
  },
  loginFailures: 5,
  resources: 20,
  // A roster of 10,000 contacts, each set and asked, is 20,000 stanzas; a process does 20,000 and more in a second.
  rate: {
    beforeLogin: { perSecond: 20, burst: 100 },
    stanzas: { perSecond: 2_000, burst: 25_000 },
    bytes: { perSecond: 16 * 1024 * 1024, burst: 128 * 1024 * 1024 },
  },
  fragments: 1_024,
  buffer: 64 * 1024,
  http: { headerBytes: 8_192, header: 5_000, request: 10_000 },
  connections: { total: undefined, perAddress: 200, newPerSecond: 20, newBurst: 100 },
  exempt: ['127.0.0.0/8', '::1'],
  overload: { lag: 200, refuseAt: 0.8, closeAt: 0.9, admittedPerSecond: 500, queue: 10_000 },
  drain: { notReady: 0, spread: 0, deadline: 5_000, resumable: true },
}

/** The `limits:` of a file that the schema has nothing against. */
export interface LimitsFile {
  readonly beforeLogin?: Partial<XmlLimits>
  readonly client?: Partial<XmlLimits>
  readonly upstream?: Partial<XmlLimits>
  readonly seconds?: Partial<Times>
  readonly loginFailures?: number
  readonly resources?: number
  readonly requestsPerHour?: number
  readonly compensationsPerHour?: number
  readonly pendingRequests?: Partial<PendingRequestLimits>
  readonly rate?: {
    readonly beforeLogin?: number
    readonly beforeLoginBurst?: number
    readonly stanzas?: number
    readonly stanzaBurst?: number
    readonly bytes?: number
    readonly byteBurst?: number
  }
  readonly fragments?: number
  readonly buffer?: number
  readonly http?: { readonly headerBytes?: number; readonly headerSeconds?: number; readonly requestSeconds?: number }
  readonly connections?: Partial<Limits['connections']>
  readonly exempt?: readonly string[]
  readonly overload?: {
    readonly lagMilliseconds?: number
    readonly heapPercent?: number
    readonly closeAtHeapPercent?: number
    readonly admittedPerSecond?: number
    readonly queue?: number
  }
  readonly drain?: {
    readonly notReadySeconds?: number
    readonly spreadSeconds?: number
    readonly deadlineSeconds?: number
    readonly resumable?: boolean
  }
}

export function limitsOf(file: LimitsFile = {}): Limits {
  const { rate, http, overload, drain } = defaultLimits
  return {
    beforeLogin: {
      ...defaultLimits.beforeLogin,
      ...file.beforeLogin,
      blank: file.beforeLogin?.bytes ?? defaultLimits.beforeLogin.bytes,
    },
    client: { ...clientLimitsFor(file.client?.bytes ?? defaultLimits.client.bytes), ...file.client },
    upstream: { ...defaultLimits.upstream, ...file.upstream },
    times: { ...defaultLimits.times, ...milliseconds(file.seconds) },
    loginFailures: file.loginFailures ?? defaultLimits.loginFailures,
    resources: file.resources ?? defaultLimits.resources,
    ...(file.requestsPerHour !== undefined && { requestsPerHour: file.requestsPerHour }),
    ...(file.compensationsPerHour !== undefined && { compensationsPerHour: file.compensationsPerHour }),
    ...(file.pendingRequests !== undefined && {
      pendingRequests: { ...defaultPendingRequests, ...file.pendingRequests },
    }),
    rate: {
      beforeLogin: paceOf(rate.beforeLogin, file.rate?.beforeLogin, file.rate?.beforeLoginBurst),
      stanzas: paceOf(rate.stanzas, file.rate?.stanzas, file.rate?.stanzaBurst),
      bytes: paceOf(rate.bytes, file.rate?.bytes, file.rate?.byteBurst),
    },
    fragments: file.fragments ?? defaultLimits.fragments,
    buffer: file.buffer ?? defaultLimits.buffer,
    http: {
      headerBytes: file.http?.headerBytes ?? http.headerBytes,
      header: inMilliseconds(file.http?.headerSeconds) ?? http.header,
      request: inMilliseconds(file.http?.requestSeconds) ?? http.request,
    },
    connections: { ...defaultLimits.connections, ...file.connections },
    exempt: file.exempt ?? defaultLimits.exempt,
    overload: {
      lag: file.overload?.lagMilliseconds ?? overload.lag,
      refuseAt: part(file.overload?.heapPercent) ?? overload.refuseAt,
      closeAt: part(file.overload?.closeAtHeapPercent) ?? overload.closeAt,
      admittedPerSecond: file.overload?.admittedPerSecond ?? overload.admittedPerSecond,
      queue: file.overload?.queue ?? overload.queue,
    },
    drain: {
      notReady: inMilliseconds(file.drain?.notReadySeconds) ?? drain.notReady,
      spread: inMilliseconds(file.drain?.spreadSeconds) ?? drain.spread,
      deadline: inMilliseconds(file.drain?.deadlineSeconds) ?? drain.deadline,
      resumable: file.drain?.resumable ?? drain.resumable,
    },
  }
}

/** The burst of a rate that has none of its own: what it may do in ten seconds. */
function paceOf(fallback: Pace, perSecond: number | undefined, burst: number | undefined): Pace {
  if (perSecond === undefined) return { ...fallback, burst: burst ?? fallback.burst }
  return { perSecond, burst: burst ?? 10 * perSecond }
}

function milliseconds(seconds: Partial<Times> = {}): Partial<Times> {
  return Object.fromEntries(Object.entries(seconds).map(([name, value]) => [name, 1_000 * value]))
}

function inMilliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : 1_000 * seconds
}

function part(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : percent / 100
}
