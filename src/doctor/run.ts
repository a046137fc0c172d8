/** Asks every probe, and makes a report of what was found. */

import type { RulesConfig } from '../config/types.ts'
import { rules as allRules, modeIn } from '../rules/all-rules.ts'
import type { Target } from '../upstream/dial.ts'
import { child, element, elements, text } from '../xml/element.ts'
import { probes } from './all-probes.ts'
import { type Client, Refused } from './client.ts'
import type { Finding, Outcome, Probe, Remedy, Verdict } from './probe.ts'
import { CannotProbe, type ProbeTarget } from './probe-target.ts'
import { l5, opens } from './probes-leg.ts'
import { Deadline, Gone, Late } from './received-elements.ts'
import { TestAccounts, type TestAccountsOptions } from './test-accounts.ts'
import { UpstreamStream } from './upstream-stream.ts'

export interface DoctorOptions extends TestAccountsOptions {
  /** As the configuration names it. */
  readonly upstream: string
  readonly target: Target
  readonly domain: string
  readonly rules: RulesConfig
  /** Bytes of the largest stanza that the gate takes from a client. */
  readonly clientBytes: number
  /** Milliseconds for one probe, its logins included. */
  readonly patience: number
  /** Ends it after the probe that runs; what was changed is put back. */
  readonly signal: AbortSignal
  /** Told before each probe. */
  progress(done: number, all: number, probe: Probe): void
}

export interface Line {
  readonly id: string
  readonly title: string
  readonly clause: string
  /** `not run`: something was missing; `failed`: it came to no end. */
  readonly verdict: Verdict | 'not run' | 'failed'
  /** What the server does, or why it is not known. */
  readonly result: string
  /** What was seen besides; `undefined`: nothing. */
  readonly detail: string | undefined
  /** Rules of the gate that help, with their modes. */
  readonly rules: readonly { readonly name: string; readonly mode: string }[]
  /** Lines for the server's configuration. */
  readonly change: readonly string[]
}

export interface Report {
  /** Why not everything could be run, and the first that JSON says; `undefined`: it could. */
  readonly failure: string | undefined
  readonly upstream: string
  readonly domain: string
  readonly server:
    | { readonly kind: keyof Remedy; readonly name: string; readonly version: string | undefined }
    | undefined
  readonly probes: readonly Line[]
  /** What could not be put back as it was. */
  readonly left: readonly string[]
}

/** Never throws for what a server does. */
export async function examine(options: DoctorOptions): Promise<Report> {
  return new Examination(options).run()
}

class Examination {
  private readonly options: DoctorOptions
  private readonly deadline = new Deadline()
  private readonly found = new Map<Probe, { finding: Finding<string> } | { not: 'not run' | 'failed'; why: string }>()
  private server: Report['server']
  private failure: string | undefined

  constructor(options: DoctorOptions) {
    this.options = options
  }

  async run(): Promise<Report> {
    let left: readonly string[] = []
    const ground = await this.open()
    if (ground !== undefined) {
      for (const probe of probes) if (probe.needs === 'leg') await this.ask(probe, () => probe.run(ground))
      await ground.leg.close()
      const world = await this.enter(ground)
      if (world !== undefined) left = await this.askAll(world)
    }
    const { upstream, domain } = this.options
    const lines = probes.map(probe => this.line(probe))
    return { failure: this.failure, upstream, domain, server: this.server, probes: lines, left }
  }

  /** Gives what could not be put back, which is tried whatever happens. */
  private async askAll(world: TestAccounts): Promise<readonly string[]> {
    let left: readonly string[] = []
    try {
      this.server = await serverOf(world.user, this.options.domain)
      for (const probe of probes) await this.askIn(world, probe)
    } finally {
      left = await world.leave()
    }
    if (this.options.signal.aborted) this.failure = 'interrupted'
    return left
  }

  private async open(): Promise<ProbeTarget | undefined> {
    const { target, domain, upstream, clientBytes } = this.options
    this.deadline.set(this.options.patience)
    try {
      return {
        target,
        domain,
        clientBytes,
        deadline: this.deadline,
        leg: await UpstreamStream.open(target, domain, this.deadline),
      }
    } catch (error) {
      const where = `upstream '${upstream}' at ${target.address}:${target.port}`
      this.failure = `cannot open a stream to ${where}: ${messageOf(error)}`
      await this.diagnose(target)
      return undefined
    }
  }

  /** Whether it would open with the PROXY header the other way. */
  private async diagnose(target: Target): Promise<void> {
    const { domain } = this.options
    const isConfigured = target.proxyProtocol !== undefined
    this.deadline.set(this.options.patience)
    const other = { ...target, proxyProtocol: isConfigured ? undefined : ('v1' as const) }
    if (!(await opens({ domain, deadline: this.deadline }, other))) return
    this.failure += isConfigured ? '; without a PROXY header it opens' : '; with a PROXY header it opens'
    this.found.set(l5, { finding: { found: isConfigured ? 'refused' : 'required' } })
  }

  private async enter(ground: ProbeTarget): Promise<TestAccounts | undefined> {
    this.deadline.set(this.options.patience)
    try {
      return await TestAccounts.enter(ground, this.options)
    } catch (error) {
      this.failure = messageOf(error)
      return undefined
    }
  }

  private async askIn(world: TestAccounts, probe: Probe): Promise<void> {
    if (probe.needs === 'leg') return
    if (probe.needs === 'stranger' && !world.hasStrangers)
      return this.note(probe, 'not run', 'needs a stranger: give a component')
    await this.ask(probe, async () => {
      await world.next()
      return probe.run(world)
    })
  }

  private async ask(probe: Probe, run: () => Finding<string> | Promise<Finding<string>>): Promise<void> {
    if (this.options.signal.aborted) return this.note(probe, 'not run', 'interrupted')
    this.options.progress(this.found.size, probes.length, probe)
    this.deadline.set(this.options.patience)
    try {
      this.found.set(probe, { finding: await run() })
    } catch (error) {
      this.note(probe, 'failed', messageOf(error))
    }
  }

  private note(probe: Probe, not: 'not run' | 'failed', why: string): void {
    this.found.set(probe, { not, why })
  }

  private line(probe: Probe): Line {
    const { id, title, clause } = probe
    const known = this.found.get(probe) ?? { not: 'not run' as const, why: 'see the reason above' }
    if ('not' in known) {
      return { id, title, clause, verdict: known.not, result: known.why, detail: undefined, rules: [], change: [] }
    }
    const { found, detail } = known.finding
    const outcome = probe.outcomes[found] as Outcome
    const { verdict, text: result, helps = [] } = outcome
    const rules = allRules
      .filter(({ name }) => helps.includes(name))
      .map(rule => ({ name: rule.name, mode: modeIn(this.options.rules, rule) }))
    const change = this.changeFor(probe, outcome)
    return { id, title, clause, verdict, result, detail, rules, change }
  }

  private changeFor({ remedy }: Probe, { verdict, isFine = false, change }: Outcome): readonly string[] {
    if (verdict === 'right' || isFine) return []
    if (change !== undefined) return change
    if (this.server !== undefined) return remedy[this.server.kind]
    return (['prosody', 'ejabberd'] as const).flatMap(kind => remedy[kind].map(line => `${kind}: ${line}`))
  }
}

/** The message of what a server, or the lack of one, has brought about; anything else is a fault of the doctor's own. */
function messageOf(error: unknown): string {
  if (error instanceof Late || error instanceof Gone || error instanceof Refused || error instanceof CannotProbe)
    return error.message
  throw error
}

/** By jabber:iq:version (XEP-0092), or else by the name in its disco identity (XEP-0030). */
async function serverOf(client: Client, domain: string): Promise<Report['server']> {
  const ask = (namespace: string) =>
    client
      .ask({ type: 'get', to: domain }, element('query', namespace))
      .then(answer => child(answer, 'query', namespace))
      .catch(() => undefined)
  const version = await ask('jabber:iq:version')
  const said = (name: string) => {
    const holder = version && child(version, name, 'jabber:iq:version')
    return holder && text(holder)
  }
  const info = await ask('http://jabber.org/protocol/disco#info')
  const identity = info && elements(info).find(each => each.attrs.get('category') === 'server')
  const name = said('name') ?? identity?.attrs.get('name') ?? 'unknown'
  const kind = (['prosody', 'ejabberd'] as const).find(each => name.toLowerCase().includes(each)) ?? 'other'
  return { kind, name, version: said('version') }
}
