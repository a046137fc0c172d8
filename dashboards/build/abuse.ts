/** What is not legitimate, and what the gate did about it. */
import type { DashboardInfo } from './dashboard.ts'
import { inRange, now, perMinute, recorded } from './query.ts'

const refusing = ['reject', 'drop', 'close'] as const

export const abuse: DashboardInfo = {
  name: 'abuse',
  title: 'abuse',
  description: 'What the rules stopped or would have stopped, stream errors, limits, connections that were refused.',
  rows: {
    Rules: [
      {
        title: 'Verdicts carried out',
        description: 'What rules in mode enforce did; forward is a rewrite.',
        unit: 'cpm',
        queries: { '{{rule}}: {{verdict}}': `${perMinute('rules', { mode: 'enforce' }, ['rule', 'verdict'])} > 0` },
        alert: 'StanzagateRuleSpike',
      },
      {
        title: 'Verdicts observed',
        description: 'What rules in mode observe would have done; nothing was. Look here before you enforce a rule.',
        unit: 'cpm',
        queries: { '{{rule}}: {{verdict}}': `${perMinute('rules', { mode: 'observe' }, ['rule', 'verdict'])} > 0` },
        alert: 'StanzagateObservedRuleWouldAct',
      },
      {
        title: 'Decisions in this time range',
        description: 'How often each rule spoke, by verdict, mode and the side whose stanzas it judged.',
        unit: 'short',
        as: 'table',
        width: 24,
        queries: {
          '{{rule}} {{verdict}} {{mode}} {{from}}': `${inRange('rules', {}, ['rule', 'verdict', 'mode', 'from'])} > 0`,
        },
      },
      {
        title: 'Forged deliveries dropped',
        description:
          'What would have reached users though nobody asked for it: approvals, denials, roster pushes, carbon copies, IQ results.',
        unit: 'cpm',
        as: 'areas',
        queries: {
          '{{rule}}': perMinute('rules', { mode: 'enforce', from: 'upstream', verdict: ['reject', 'drop'] }, ['rule']),
        },
        alert: 'StanzagateForgedApprovals',
      },
      {
        title: 'Refused share of stanzas',
        description: 'Of all stanzas of a side, the share that was rejected, dropped, or ended its stream.',
        unit: 'percentunit',
        queries: {
          'from {{from}} ({{instance}} {{route}})': recorded(
            'instance_route_from:stanzagate_stanzas_refused:ratio_rate5m',
            ['route'],
          ),
        },
      },
      {
        title: 'Refused stanzas',
        description: 'Stanzas that were not forwarded, by kind, type and the rule that decided.',
        unit: 'cpm',
        width: 24,
        queries: {
          '{{kind}} {{type}} from {{from}}: {{rule}}': `${perMinute('stanzas', { mode: 'enforce', verdict: refusing }, ['kind', 'type', 'from', 'rule'])} > 0`,
        },
      },
    ],
    'Streams and limits': [
      {
        title: 'Stream errors',
        description:
          'Stream errors by condition: sent to clients by the gate, received from clients and from upstreams. policy-violation is a limit; see the log for which.',
        unit: 'cpm',
        queries: {
          '{{condition}} ({{side}}, by {{by}})': `${perMinute('streamErrors', {}, ['condition', 'side', 'by'])} > 0`,
        },
        alert: 'StanzagateStreamErrors',
      },
      {
        title: 'Ended by a limit',
        description:
          'Client transports that ended because a time ran out, a peer took nothing of what waited for it, or the gate was overloaded.',
        unit: 'cpm',
        as: 'areas',
        queries: {
          '{{cause}}': perMinute(
            'streamsClosed',
            { side: 'client', cause: ['timeout', 'slow-client', 'slow-upstream', 'upstream-silent', 'overload'] },
            ['cause'],
          ),
        },
        alert: 'StanzagateSlowClients',
      },
      {
        title: 'Nonzas answered or left out',
        description: 'First-level elements that are no stanzas and that the gate answered or left out.',
        unit: 'cpm',
        queries: { 'from {{from}}: {{verdict}}': perMinute('nonzas', {}, ['from', 'verdict']) },
      },
      {
        title: 'Connections not served',
        description:
          'Connections that were refused: too many of one address, at a time or new ones, too many in all, or the gate had enough to do.',
        unit: 'cpm',
        queries: { '{{listener}}: {{reason}}': perMinute('rejected', {}, ['listener', 'reason']) },
        alert: 'StanzagateConnectionsRefused',
      },
      {
        title: 'Connections that wait',
        description:
          'Connections that wait to be served because more come at once than are served well, as after a restart.',
        unit: 'short',
        queries: { '{{instance}}': now('waiting', {}, ['instance']) },
        alert: 'StanzagateConnectionsWaiting',
      },
      {
        title: 'Admin requests refused',
        description: 'Requests to the admin listener without the right token.',
        unit: 'cpm',
        queries: { '{{instance}}': perMinute('adminRefused', {}, ['instance']) },
        alert: 'StanzagateAdminRefused',
      },
      {
        title: 'Connections refused for their PROXY header',
        description:
          'Connections that were closed because a PROXY header was missing, malformed, late, or from an address that is not trusted. Empty where no listener expects one.',
        unit: 'cpm',
        width: 24,
        queries: { '{{listener}}: {{reason}}': perMinute('refused', {}, ['listener', 'reason']) },
        alert: 'StanzagateProxyHeadersRefused',
      },
    ],
  },
}
