/** What keeps resumable sessions beyond the process; `StoredSessions` in store/ implements it. */

/** A session that another process may go on with. */
export interface KeptSession {
  /** By which it is found: the server's SM-ID with the upstream and the domain. */
  readonly key: string
  /** `SessionRecord` in session-record.ts, as it is written and as it is read: nothing of it is checked yet. */
  readonly record: unknown
  /** Milliseconds that the server keeps it after each loss of its stream. */
  readonly resumableFor: number
  /** Milliseconds that it keeps it from now on. */
  readonly left: number
}

export interface SessionKeeper {
  /** Says whether they are kept, all of them. Never rejects. */
  keep(sessions: readonly KeptSession[]): Promise<boolean>
  /** Takes a session out, so that nobody else finds it; `undefined`: there is none, or it cannot be had. Never rejects. */
  take(key: string): Promise<KeptSession | undefined>
  /** What was taken is no session that this version knows. */
  unreadable(): void
}
