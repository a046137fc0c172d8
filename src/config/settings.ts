/** What a reload may change while sessions are there: rules, trusted domains, routes. Sessions read it for each stanza. */

import { makeRoutes } from '../routing/routes.ts'
import { activeRules } from '../rules/all-rules.ts'
import type { ActiveRule } from '../rules/judge.ts'
import type { ForeignFrom, Unverified } from '../rules/mode.ts'
import { foldDomain } from '../stanza/jid.ts'
import type { Reloadable } from './reload.ts'
import type { Config } from './types.ts'

type Chosen = Pick<Config, 'rules' | 'routes'>

export class Settings {
  rules: readonly ActiveRule[]
  /** Folded. */
  trustedDomains: ReadonlySet<string>
  foreignFrom: ForeignFrom
  unverified: Unverified
  routeOf: ReturnType<typeof makeRoutes<Config['routes'][number]>>
  private readonly told: (settings: Chosen) => void

  /** `told`: called after each change. */
  constructor(config: Chosen, told: (settings: Chosen) => void) {
    this.rules = activeRules(config.rules)
    this.trustedDomains = trusted(config)
    this.foreignFrom = config.rules.foreignFrom ?? 'override'
    this.unverified = config.rules.unknown ?? 'pass'
    this.routeOf = makeRoutes(config.routes)
    this.told = told
  }

  get parts(): readonly Reloadable[] {
    return [this.ofRules, this.ofRoutes]
  }

  private readonly ofRules: Reloadable = {
    changed: keys => keys.filter(key => key.startsWith('rules.')),
    prepare: next => {
      const rules = activeRules(next.rules)
      const domains = trusted(next)
      const apply = () => {
        this.rules = rules
        this.trustedDomains = domains
        this.foreignFrom = next.rules.foreignFrom ?? 'override'
        this.unverified = next.rules.unknown ?? 'pass'
        this.told(next)
      }
      return { apply }
    },
  }

  private readonly ofRoutes: Reloadable = {
    changed: keys => keys.filter(key => key === 'routes'),
    prepare: next => {
      const routeOf = makeRoutes(next.routes)
      const apply = () => {
        this.routeOf = routeOf
        this.told(next)
      }
      return { apply }
    },
  }
}

function trusted({ rules }: Chosen): ReadonlySet<string> {
  return new Set(rules.trustedDomains.flatMap(domain => foldDomain(domain) ?? []))
}
