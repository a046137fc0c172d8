/**
 * Says when a relay writes. A write that has to wake its reader costs the kernel several times as much as one to a reader that is
 * awake. So while several sockets are readable at once, writes wait until all of them were read. They follow each other then, and a
 * peer of several sessions, as the server is, is awake from the first one on. While few are readable, a stanza is written at once.
 */
export interface Flushable {
  /** `at`: the time, on the clock of `performance.now`. */
  flush(at: number): void
}

/** Reads of one turn of the event loop from which on the next turn's writes wait. */
const manyReads = 4

export class FlushQueue {
  private due: Flushable[] = []
  private spare: Flushable[] = []
  /** Calls of `add` in the present turn of the event loop. */
  private reads = 0
  private isBusy = false
  private readonly endTurn = () => {
    this.isBusy = this.reads >= manyReads
    this.reads = 0
    const { due } = this
    if (due.length === 0) return
    this.due = this.spare
    const at = performance.now()
    let flushed = 0
    try {
      while (flushed < due.length) due[flushed++]?.flush(at)
    } finally {
      // One has thrown: the others are flushed in the next turn.
      for (const each of due.slice(flushed)) this.add(each, at)
      due.length = 0
      this.spare = due
    }
  }

  /** It is flushed once for each call: now, or at the end of the event loop's present turn. `at`: the time. */
  add(each: Flushable, at: number): void {
    if (this.reads++ === 0) setImmediate(this.endTurn)
    if (this.isBusy || this.reads >= manyReads) this.due.push(each)
    else each.flush(at)
  }
}
