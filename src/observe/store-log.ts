/** Says in the log when the store fails, and when it works again: a line each, however many calls have failed. */
import type { FastifyBaseLogger } from 'fastify'
import type { KeptSessionEvent, StoreOperation } from '../store/labels.ts'
import type { StoreWatcher } from '../store/stored-accounts.ts'

export class StoreLog implements Pick<StoreWatcher, 'storeGaveUp'> {
  private readonly logger: Pick<FastifyBaseLogger, 'error' | 'info' | 'warn'>
  private readonly place: string
  private failed = 0

  /** `place`: where the store is. */
  constructor(logger: Pick<FastifyBaseLogger, 'error' | 'info' | 'warn'>, place: string) {
    this.logger = logger
    this.place = place
  }

  storeCalled(operation: StoreOperation, _seconds: number, fails: boolean, error?: unknown): void {
    const { place: store } = this
    if (error !== undefined) {
      if (this.failed++ > 0) return
      const reason = error instanceof Error ? error.message : String(error)
      this.logger.error(
        { store, operation, reason },
        'the store fails: the traffic goes on, and changes wait in memory',
      )
    } else if (this.failed > 0 && !fails) {
      this.logger.info({ store, failed: this.failed }, 'the store works again')
      this.failed = 0
    }
  }

  /** What the end of the process means for sessions. Single ones that come back are not told. */
  sessionsKept(event: KeptSessionEvent, sessions: number): void {
    const { place: store } = this
    if (event === 'kept') this.logger.info({ store, sessions }, 'sessions are kept for the next process')
    if (event === 'lost')
      this.logger.warn({ store, sessions }, 'the store fails: sessions that could have been resumed end')
  }

  storeGaveUp(accounts: number): void {
    this.logger.warn({ store: this.place, accounts }, 'too many accounts wait for the store: changes are given up')
  }
}
