/**
 * What has something to write when the event loop has read every socket that was readable. A write that has to wake its reader costs the kernel
 * several times as much as one to a reader that is awake. Writes that follow each other find a peer of several sessions, as the server
 * is, awake from the first one on.
 */
export interface Flushable {
  /** `at`: the time, on the clock of `performance.now`. */
  flush(at: number): void
}

export class FlushQueue {
  private due: Flushable[] = []
  private spare: Flushable[] = []
  private readonly run = () => {
    const { due } = this
    this.due = this.spare
    const at = performance.now()
    for (const each of due) each.flush(at)
    due.length = 0
    this.spare = due
  }

  /** It is flushed once for each call, at the end of the event loop's present turn. */
  add(each: Flushable): void {
    if (this.due.push(each) === 1) setImmediate(this.run)
  }
}
