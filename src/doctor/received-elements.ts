/**
 * The elements that a stream has received, in order, and waiting for one that is yet to come. Nothing waits longer than the
 * shared deadline.
 */
import type { Element } from '../xml/element.ts'

/** The time that is left for what is being done; set again for each probe. */
export class Deadline {
  private end = Number.POSITIVE_INFINITY

  /** Milliseconds from now. */
  set(limit: number): void {
    this.end = performance.now() + limit
  }

  /** Milliseconds, at least one. */
  get left(): number {
    return Math.max(1, Math.min(this.end - performance.now(), 2 ** 31 - 1))
  }

  /** Waits that long, or until the deadline. */
  pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, Math.min(milliseconds, this.left)))
  }
}

/** What was awaited did not come in time. */
export class Late extends Error {}
/** The stream has ended. */
export class Gone extends Error {}

export class ReceivedElements {
  /** Why nothing follows; `undefined`: more may come. */
  gone: string | undefined
  private readonly all: Element[] = []
  private readonly deadline: Deadline
  private wake: (() => void)[] = []

  constructor(deadline: Deadline) {
    this.deadline = deadline
  }

  push(heard: Element): void {
    this.all.push(heard)
    this.stir()
  }

  /** Nothing follows; the first reason holds. */
  end(reason: string): void {
    this.gone ??= reason
    this.stir()
  }

  /** A mark: what is received from now on is what `since` gives for it. */
  get mark(): number {
    return this.all.length
  }

  since(mark: number): readonly Element[] {
    return this.all.slice(mark)
  }

  /** The first such element heard since the mark. Throws `Late` at the deadline or after `limit` milliseconds, `Gone` when the stream ends. */
  async find(
    what: string,
    mark: number,
    isWanted: (heard: Element) => boolean,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<Element> {
    let next = mark
    const end = performance.now() + Math.min(limit, this.deadline.left)
    for (;;) {
      for (; next < this.all.length; next++) {
        const heard = this.all[next]
        if (heard !== undefined && isWanted(heard)) return heard
      }
      if (this.gone !== undefined) throw new Gone(this.gone)
      if (performance.now() >= end) throw new Late(`no ${what} came in time`)
      await this.stirred(end - performance.now())
    }
  }

  private stirred(limit: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, limit)
      this.wake.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  private stir(): void {
    for (const wake of this.wake.splice(0)) wake()
  }
}
