/**
 * The time limits of a stream until its resource is bound. The client has one limit for all its steps together, and shorter ones
 * for some steps. Its time does not run while the server is to answer; the server has a limit for each answer.
 */

/** Milliseconds each; `Times` of config/limits.ts. */
export interface Times {
  readonly header: number
  readonly tls: number
  readonly bound: number
  readonly form: number
  readonly answer: number
}

/** What is waited for. */
export type Turn = 'header' | 'tls' | 'client' | 'server'

export class NegotiationTimers {
  private readonly times: Times
  private turn: Turn = 'header'
  /** When this wait began. */
  private since: number
  /** Milliseconds of the client's limit that were used before this wait. */
  private spent = 0
  private isFilling = false

  constructor(times: Times, now: number) {
    this.times = times
    this.since = now
  }

  /** Who is late when the time is up. */
  get late(): 'client' | 'server' {
    return this.turn === 'server' ? 'server' : 'client'
  }

  /** A person fills in a form or does a task: the longer limit applies. */
  fills(): void {
    this.isFilling = true
  }

  /** This is waited for now; gives the time by which it must have come. */
  until(turn: Turn, now: number): number {
    if (turn !== this.turn) {
      if (this.turn !== 'server') this.spent += now - this.since
      this.turn = turn
      this.since = now
    }
    const { times, since, spent } = this
    if (turn === 'server') return since + times.answer
    const budget = (this.isFilling ? times.form : times.bound) - spent
    return since + (turn === 'client' ? budget : Math.min(budget, times[turn]))
  }
}
