/** What another process needs to go on with a session; data that JSON can hold. */
import type { RosterWatchRecord } from '../account/roster-watch.ts'
import type { CompensationRecord } from './compensation-record.ts'
import type { PendingIqsRecord } from './pending-iqs.ts'
import type { PendingRequestsRecord } from './pending-requests.ts'
import type { RedeliveryRecord } from './redelivery.ts'
import type { RosterFetchRecord } from './roster-fetch.ts'
import type { CountsRecord } from './stanza-counts.ts'

export interface SessionRecord {
  readonly format: typeof sessionFormat
  /** The full JID, in the server's spelling. */
  readonly jid: string
  /** The domain that the client has asked for. */
  readonly domain: string
  /** The server has offered pre-approval (RFC 6121 section 3.4). */
  readonly offersPreApproval: boolean
  readonly counts: CountsRecord
  readonly requests: PendingIqsRecord
  readonly watch: RosterWatchRecord
  readonly fetch: RosterFetchRecord
  /** `null`: the gate held no requests. */
  readonly pending: PendingRequestsRecord | null
  /** `null`: no subscription was granted unasked. */
  readonly compensation: CompensationRecord | null
  /** `null`: the gate delivers no requests again. */
  readonly redelivery: RedeliveryRecord | null
}

/** The version of the record. A session of another version is not resumed: its client binds again. */
export const sessionFormat = 2
