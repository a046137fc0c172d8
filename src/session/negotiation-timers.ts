/**
 * How long a stream may take until its resource is bound. The client has a budget for its own part, whatever is done in how many steps,
 * and less for some of the steps; its clock stands still while the server has the word, which has a time of its own for each answer.
 */

/** Milliseconds each; `Times` of config/limits.ts. */
export interface Times {
  readonly header: number
  readonly tls: number
  readonly bound: number
  readonly form: number
  readonly answer: number
}

/** Who has the word, and what for. */
export type Turn = 'header' | 'tls' | 'client' | 'server'

export class NegotiationTimers {
  private readonly times: Times
  private turn: Turn = 'header'
  /** When the turn began. */
  private since: number
  /** Of the client's budget, before this turn. */
  private spent = 0
  private isFilling = false

  constructor(times: Times, now: number) {
    this.times = times
    this.since = now
  }

  /** Whose fault it is when time is up. */
  get late(): 'client' | 'server' {
    return this.turn === 'server' ? 'server' : 'client'
  }

  /** Somebody fills in a form, or does what a task asks for. */
  fills(): void {
    this.isFilling = true
  }

  /** This is whose turn it is now; says when it has to be over. */
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
