/** What a bound session lets its parts do: those that hold stanzas back, and those that say something of the gate's own. */
import type { Judgement } from '../rules/judge.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import type { Element } from '../xml/element.ts'
import type { BoundOutput } from './resumable-session.ts'

export interface BoundWays {
  /** The gate says something to this side that the other one has not sent. */
  say(to: Side, whole: Element, output: BoundOutput): void
  /** A request of the gate's own, whose answer is awaited. */
  ask(request: Element, output: BoundOutput): void
  /** A stanza of the server's that was held goes to the client, who gets it later. It is read as one that has just come. */
  deliver(stanza: Stanza, output: BoundOutput): void
  /** The same; nobody but the roster is told of it. */
  show(stanza: Stanza, output: BoundOutput): void
  /** A stanza of the server's is not for the client. */
  leaveOut(stanza: Stanza, output: BoundOutput): void
  /** A stanza is read for what it says of the roster. */
  read(from: Side, stanza: Stanza, output: BoundOutput): void
  /** What the rules say of a stanza of the server's. `passed`: they have let it pass before; `redelivered`: the gate delivers it again. */
  judge(stanza: Stanza, as: 'passed' | 'redelivered'): Judgement
}
