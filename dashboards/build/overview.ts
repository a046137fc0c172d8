/** The first thing to look at. */
import { subscriptionTypes } from '../../src/stanza/stanza.ts'
import type { DashboardInfo } from './dashboard.ts'
import { inRange, now, perMinute, recorded, series } from './query.ts'

export const overview: DashboardInfo = {
  name: 'overview',
  title: 'overview',
  description: 'Whether the gate serves, how much goes through it, what it stopped, and how it does.',
  rows: {
    Now: [
      {
        title: 'Gates that run',
        description: 'Instances of the gate that answered the last scrape.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        queries: { gates: `count(${series('build')})` },
        alert: 'StanzagateDown',
      },
      {
        title: 'Sessions now',
        description: 'Resources that are bound at this moment.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        queries: { sessions: now('sessionsActive') },
      },
      {
        title: 'Requests in this time range',
        description: 'Subscription requests, of users and of contacts, whatever became of them.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        queries: { requests: inRange('stanzas', { kind: 'presence', type: 'subscribe' }) },
      },
      {
        title: 'Stopped in this time range',
        description: 'Stanzas that were rejected, dropped, or ended their stream.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        queries: { stopped: inRange('stanzas', { mode: 'enforce', verdict: ['reject', 'drop', 'close'] }) },
      },
      {
        title: 'Faults',
        description: 'Sessions that were ended because of an error in the gate itself, in this time range.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        alarm: 1,
        queries: { faults: inRange('faults') },
        alert: 'StanzagateFaults',
      },
      {
        title: 'Attempts that found no upstream',
        description: 'Attempts to reach an upstream that failed, in this time range.',
        unit: 'short',
        as: 'numbers',
        width: 4,
        alarm: 1,
        queries: { attempts: inRange('connectErrors') },
        alert: 'StanzagateUpstreamUnreachable',
      },
    ],
    Traffic: [
      {
        title: 'Sessions by route',
        description: 'Resources that are bound, by route.',
        unit: 'short',
        as: 'areas',
        queries: { '{{route}}': now('sessionsActive', {}, ['route']) },
      },
      {
        title: 'Verdicts',
        description: 'Stanzas by what became of them; in mode observe, by what would have become of them.',
        unit: 'cpm',
        queries: { '{{verdict}} ({{mode}})': perMinute('stanzas', {}, ['verdict', 'mode']) },
      },
      {
        title: 'In and out',
        description:
          'Stanzas that the gate took and wrote, on both sides. What it took from one side and did not write to the other, it has stopped or answered.',
        unit: 'cpm',
        queries: {
          'from {{from}}': perMinute('received', {}, ['from']),
          'to {{to}}': perMinute('sent', {}, ['to']),
        },
      },
      {
        title: 'In and out by kind',
        description: 'The same by kind: what was taken above, what was written below.',
        unit: 'cpm',
        queries: {
          '{{kind}} from {{from}}': perMinute('received', {}, ['kind', 'from']),
          '{{kind}} to {{to}}': `-${perMinute('sent', {}, ['kind', 'to'])}`,
        },
      },
      {
        title: 'Subscription stanzas',
        description: 'Requests, approvals, denials and cancellations, of users and contacts together.',
        unit: 'cpm',
        queries: { '{{type}}': perMinute('stanzas', { kind: 'presence', type: subscriptionTypes }, ['type']) },
        alert: 'StanzagateSubscriptionFlood',
      },
      {
        title: 'Stopped by rule',
        description: 'Stanzas that were not forwarded, by the rule that decided; none: before the rules were asked.',
        unit: 'cpm',
        as: 'areas',
        queries: {
          '{{rule}}': perMinute('stanzas', { mode: 'enforce', verdict: ['reject', 'drop', 'close'] }, ['rule']),
        },
        alert: 'StanzagateRuleSpike',
      },
      {
        title: 'Thread at work',
        description: "Share of time that the gate's one thread is at work.",
        unit: 'percentunit',
        max: 1,
        queries: { '{{instance}}': recorded('instance:stanzagate_eventloop_active:ratio_rate5m') },
        alert: 'StanzagateEventLoopLag',
      },
      {
        title: 'Alerts',
        description: 'Alerts of this gate that stand at this moment; pending: not for long enough yet. Empty is good.',
        unit: 'short',
        as: 'table',
        queries: {
          '{{alertname}} {{instance}}':
            'count by (alertname, severity, alertstate, instance) (ALERTS{alertname=~"Stanzagate.*",job=~"$job|",instance=~"$instance|"})',
        },
      },
    ],
  },
}
