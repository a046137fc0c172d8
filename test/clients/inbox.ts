import { within } from './within.ts'

/** What has come and was not looked at, and the one who waits for more. */
export class Inbox<Item> {
  private readonly items: Item[] = []
  private wake: (() => void) | undefined
  private listener: ((item: Item) => void) | undefined
  private readonly show: (item: Item) => string

  /** `show` is how an item looks in the message of a wait that was in vain. */
  constructor(show: (item: Item) => string) {
    this.show = show
  }

  /** From now on this one gets what comes, and nobody waits. */
  divert(listener: (item: Item) => void): void {
    for (const item of this.items.splice(0)) listener(item)
    this.listener = listener
  }

  push(item: Item): void {
    if (this.listener !== undefined) return this.listener(item)
    this.items.push(item)
    this.wake?.()
  }

  /** The first item that is wanted; those before it are gone. */
  async find(what: string, isWanted: (item: Item) => boolean): Promise<Item> {
    return (await this.until(what, isWanted)).at(-1) as Item
  }

  /** Everything up to the first item that is wanted, itself included. */
  async until(what: string, isWanted: (item: Item) => boolean): Promise<Item[]> {
    const passed: Item[] = []
    const all = async () => {
      for (;;) {
        for (let item = this.items.shift(); item !== undefined; item = this.items.shift()) {
          passed.push(item)
          if (isWanted(item)) return passed
        }
        await new Promise<void>(resolve => {
          this.wake = resolve
        })
      }
    }
    try {
      return await within(what, all())
    } catch (error) {
      const seen = passed.map(this.show).join('\n  ')
      throw new Error(`${(error as Error).message}; what came instead:\n  ${seen || 'nothing'}`)
    }
  }
}
