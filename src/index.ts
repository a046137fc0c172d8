/** What a program imports: the gate as a whole, the gate as a Fastify plugin, and the pure parts by themselves. */

export { Ledger } from './account/ledger.ts'
export type { LimitsFile as Limits } from './config/limits.ts'
export { ConfigError, formatProblem, type Problem } from './config/problem.ts'
export type { ReloadResult } from './config/reload.ts'
export type {
  AuditFile as Audit,
  ConfigFile as Config,
  ListenerFile as Listener,
  RulesFile as Rules,
  UpstreamFile as Upstream,
} from './config/schema.ts'
export type { Admin, LogArea, LogConfig as Log, LogLevel, Route } from './config/types.ts'
export { readConfig, type StartOptions, startProxy } from './embed.ts'
export { type Explanation, explainStanza, type Question } from './explain/explain.ts'
export { type StanzagateOptions, stanzagate } from './plugin.ts'
export type { ListeningAddress, Proxy } from './proxy.ts'
export { rules } from './rules/all-rules.ts'
export { type ActiveRule, type Judgement, judge } from './rules/judge.ts'
export { type Mode, modes } from './rules/mode.ts'
export type { Facts, Rule, Verdict } from './rules/rule.ts'
export { errorReply } from './stanza/error.ts'
export type { PresenceType, RosterSubscription } from './stanza/generated/types.ts'
export { type Jid, parseJid } from './stanza/jid.ts'
export { presenceChildrenFault, presenceTypeFault } from './stanza/shape.ts'
export { type Stanza, stanzaOf } from './stanza/stanza.ts'
export { type Direction, next, type Subscription } from './subscription/state.ts'
export { version } from './version.ts'
export type { Element } from './xml/element.ts'
