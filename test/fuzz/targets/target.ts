/** What can be explored: bytes go in, and what they brought about comes out as features; a broken promise is thrown. */
export interface Target {
  /** Inputs to begin with. */
  readonly seeds: readonly Buffer[]
  /** What an input is made of further, put in anywhere. */
  readonly tokens: readonly Buffer[]
  /**
   * Short words for what happened, as many as there were kinds of it: an input with a new one is kept.
   *
   * @throws {Broken} when a promise is broken; anything else that it throws is a bug as well
   */
  run(input: Buffer): Iterable<string>
}

export class Broken extends Error {}

export function promise(kept: boolean, text: () => string): void {
  if (!kept) throw new Broken(text())
}
