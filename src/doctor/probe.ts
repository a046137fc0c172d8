import type { ProbeTarget } from './probe-target.ts'
import type { TestAccounts } from './test-accounts.ts'

/** What an outcome means: as the RFC says; allowed, but worth knowing; against the RFC; or the gate cannot work well with it. */
export type Verdict = 'right' | 'note' | 'breaks' | 'conflict'

export interface Outcome {
  readonly verdict: Verdict
  /** What the server does, as a clause. */
  readonly text: string
  /** Names of rules (src/rules/all-rules.ts) that help; none unless named. */
  readonly helps?: readonly string[]
  /** No remedy is printed although it is not right: there is nothing to change, or nothing that has to be. */
  readonly isFine?: boolean
  /** What to change instead of the probe's remedy, whatever the server. */
  readonly change?: readonly string[]
}

/** Lines for the server's configuration, or a sentence where none helps. */
export interface Remedy {
  readonly prosody: readonly string[]
  readonly ejabberd: readonly string[]
  /** For any other server: what to look for. */
  readonly other: readonly string[]
}

/** An outcome by its key, and what was seen besides. */
export interface Finding<Key extends string> {
  readonly found: Key
  readonly detail?: string | undefined
}

interface Described<Key extends string> {
  /** `T1` to `T15`: what the server does with stanzas; `L1` to `L7`: the leg between the gate and the server. */
  readonly id: string
  readonly title: string
  readonly clause: string
  readonly outcomes: Readonly<Record<Key, Outcome>>
  readonly remedy: Remedy
}

export type Probe<Key extends string = string> = Described<Key> &
  (
    | { readonly needs: 'leg'; run(target: ProbeTarget): Finding<Key> | Promise<Finding<Key>> }
    /** `contact`: anybody else, by the component or the second account; `stranger`: the component. */
    | { readonly needs: 'account' | 'contact' | 'stranger'; run(accounts: TestAccounts): Promise<Finding<Key>> }
  )

/** Checks the keys of a probe's outcomes by its types, and erases them for the table. */
export function probe<Key extends string>(described: Probe<Key>): Probe {
  return described as unknown as Probe
}
