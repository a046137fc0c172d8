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

/** It stays where it is kept until it is claimed: only the server knows whether the client that asks for it may have it. */
export interface FoundSession extends KeptSession {
  /** Takes it out, so that nobody else goes on with it. `false`: somebody else has, or that cannot be known. Never rejects. */
  claim(): Promise<boolean>
  /** The server has refused it to this client, or was not asked: others need not wait. Never rejects. */
  release(): Promise<void>
}

export interface SessionKeeper {
  /** Says whether they are kept, all of them. Never rejects. */
  keep(sessions: readonly KeptSession[]): Promise<boolean>
  /** `undefined`: there is none, or it cannot be had. Of those that ask at once each has its turn for a while. Never rejects. */
  find(key: string): Promise<FoundSession | undefined>
  /** What was found is no session that this version knows. */
  unreadable(): void
}
