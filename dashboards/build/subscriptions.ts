/** Presence subscriptions: what is asked, what comes of it, and how sure the gate is. */
import { subscriptionTypes } from '../../src/stanza/stanza.ts'
import type { DashboardInfo } from './dashboard.ts'
import { inRange, now, perMinute, quantile, recorded } from './query.ts'

const types = subscriptionTypes
const ofUsers = { kind: 'presence', type: types, from: 'client' } as const
const ofContacts = { kind: 'presence', type: types, from: 'upstream' } as const

export const subscriptions: DashboardInfo = {
  name: 'subscriptions',
  title: 'subscriptions',
  description: 'Presence subscriptions through the gate: requests, approvals, denials, what rosters show of them.',
  rows: {
    'From the request to the subscription': [
      {
        title: "Users' requests in this time range",
        description:
          'What users asked for and what contacts answered, once for each account. A request may still wait; an approval may answer an older request.',
        unit: 'short',
        as: 'bars',
        queries: {
          asked: inRange('subscriptions', { event: 'request-out' }),
          approved: inRange('subscriptions', { event: 'approval-in' }),
          denied: inRange('subscriptions', { event: 'denial-in' }),
          'answered with an error': inRange('failed'),
          'now mutual': inRange('subscriptions', { event: 'mutual' }),
        },
      },
      {
        title: "Contacts' requests in this time range",
        description: 'What contacts asked for and what users answered, once for each account.',
        unit: 'short',
        as: 'bars',
        queries: {
          asked: inRange('subscriptions', { event: 'request-in' }),
          approved: inRange('subscriptions', { event: 'approval-out' }),
          denied: inRange('subscriptions', { event: 'denial-out' }),
          'approved beforehand': inRange('subscriptions', { event: 'pre-approval' }),
        },
      },
      {
        title: 'Events',
        description:
          'Requests, approvals, denials, and ends of subscriptions, once for each account; out: by the user, in: by the contact.',
        unit: 'cpm',
        queries: { '{{event}}': perMinute('subscriptions', {}, ['event']) },
        alert: 'StanzagateSubscriptionFlood',
      },
      {
        title: 'From the request to the answer',
        description:
          "Time from a user's request to the contact's answer, of the answers in this time range, as the gate saw both. People take hours.",
        unit: 's',
        as: 'bars',
        queries: {
          'median, {{outcome}}': quantile(0.5, 'decision', ['outcome'], '$__range'),
          '9 of 10, {{outcome}}': quantile(0.9, 'decision', ['outcome'], '$__range'),
        },
      },
      {
        title: 'Requests that wait for an answer',
        description:
          'Of the accounts that the gate has in memory: outbound, which contacts have not answered; inbound, which users have not. By age; unknown: begun before the gate saw them.',
        unit: 'short',
        queries: { '{{direction}}, {{age}}': now('waitingRequests', {}, ['direction', 'age']) },
      },
      {
        title: 'Delivered and not acknowledged',
        description:
          'What users have neither affirmed nor denied (RFC 3921 section 9.4), of the accounts in memory. Clients of today acknowledge subscribe alone: much of the other types is normal, and goes after 90 days.',
        unit: 'short',
        queries: { '{{type}}, {{age}}': now('unacknowledged', {}, ['type', 'age']) },
      },
      {
        title: 'Requests delivered again',
        description:
          'With the rule redeliver-requests, for a server that does not do it. held: by the rule pending-requests; observed: they would have been delivered.',
        unit: 'short',
        as: 'numbers',
        width: 24,
        queries: { '{{outcome}}': inRange('redeliveries', {}, ['outcome']) },
      },
      {
        title: 'From users in this time range',
        description: "Subscription stanzas that the gate's own users sent, whatever became of them.",
        unit: 'short',
        as: 'numbers',
        queries: { '{{type}}': inRange('stanzas', ofUsers, ['type']) },
      },
      {
        title: 'From contacts in this time range',
        description: "Subscription stanzas that contacts sent to the gate's users, whatever became of them.",
        unit: 'short',
        as: 'numbers',
        queries: { '{{type}}': inRange('stanzas', ofContacts, ['type']) },
      },
      {
        title: 'From users',
        description: 'What users ask for, approve, deny and cancel.',
        unit: 'cpm',
        queries: { '{{type}}': perMinute('stanzas', ofUsers, ['type']) },
        alert: 'StanzagateSubscriptionFlood',
      },
      {
        title: 'From contacts',
        description:
          'What contacts ask for, approve, deny and cancel; the gate may ignore some of it, see the verdicts.',
        unit: 'cpm',
        queries: { '{{type}}': perMinute('stanzas', ofContacts, ['type']) },
        alert: 'StanzagateSubscriptionFlood',
      },
    ],
    'What came of them': [
      {
        title: 'What became of subscription stanzas',
        description:
          'Every subscription stanza by verdict. In mode observe the verdict is what enforce would have done: the stanza was forwarded.',
        unit: 'cpm',
        queries: {
          '{{verdict}} ({{mode}})': perMinute('stanzas', { kind: 'presence', type: types }, ['verdict', 'mode']),
        },
      },
      {
        title: 'Requests that failed',
        description:
          'Requests that were answered with an error, by its condition: remote-server-not-found and remote-server-timeout point to federation, item-not-found to a mistyped address.',
        unit: 'cpm',
        queries: { '{{condition}}': `${perMinute('failed', {}, ['condition'])} > 0` },
        alert: 'StanzagateRequestsFail',
      },
      {
        title: 'Share of requests that failed',
        description: "Of the users' requests that were passed on, the share that was answered with an error.",
        unit: 'percentunit',
        queries: {
          '{{instance}} {{route}}': recorded('instance_route:stanzagate_subscription_requests_failed:ratio_rate5m', [
            'route',
          ]),
        },
        alert: 'StanzagateRequestsFail',
      },
      {
        title: 'Unverified share of approvals and denials',
        description:
          'Of the subscribed and unsubscribed that came from the server, the share about which nothing could be known, because no session of the account has asked for its roster. They pass.',
        unit: 'percentunit',
        queries: {
          '{{type}} ({{instance}} {{route}})': recorded(
            'instance_route_type:stanzagate_subscription_undecided:ratio_rate5m',
            ['route'],
          ),
        },
        alert: 'StanzagateMuchUnverified',
      },
      {
        title: 'Verified and unverified in this time range',
        description: 'Approvals and denials of contacts of whom the gate knew the state, and of whom it knew nothing.',
        unit: 'short',
        as: 'numbers',
        width: 24,
        queries: {
          '{{type}}: verified': inRange('decided', {}, ['type']),
          '{{type}}: unverified': inRange('undecided', {}, ['type']),
        },
      },
      {
        title: 'Rosters that the gate has asked for',
        description:
          'With rules.unknown: fetch, for clients that do not ask for their roster. push: a push that was kept from such a client.',
        unit: 'short',
        as: 'numbers',
        width: 24,
        queries: { '{{event}}': inRange('rosterFetches', {}, ['event']) },
      },
    ],
    'What rosters show': [
      {
        title: 'Transitions',
        description:
          "Roster items that moved from one state to another, as the server's roster pushes show it. unknown: the roster had not been seen before; +ask: a request is pending.",
        unit: 'cpm',
        queries: { '{{before}} → {{after}}': `${perMinute('transitions', {}, ['before', 'after'])} > 0` },
      },
      {
        title: 'Transitions in this time range',
        description: 'The same, added up: which ways through the states of RFC 6121 are really walked.',
        unit: 'short',
        as: 'table',
        queries: { '{{before}} {{after}}': `${inRange('transitions', {}, ['before', 'after'])} > 0` },
      },
      {
        title: 'Illegal transitions',
        description:
          'Roster items that moved as no single stanza moves them (RFC 6121 appendix A), by upstream: its administrator did it, or the server errs.',
        unit: 'short',
        width: 24,
        queries: {
          '{{upstream}}: {{before}} → {{after}}': `${inRange('illegal', {}, ['upstream', 'before', 'after'])}`,
        },
        alert: 'StanzagateIllegalTransitions',
      },
      {
        title: 'Subscriptions that were granted unasked',
        description:
          'Rule subscription-needs-request, with limits.compensationsPerHour. undone: taken back; failed: the server has not taken it back; limited: the account has had its share of the hour; observed: the rule only observes; passed: an administrator has changed the roster, which the client saw a second later.',
        unit: 'short',
        as: 'numbers',
        width: 24,
        queries: { '{{outcome}}': inRange('compensations', {}, ['outcome']) },
        alert: 'StanzagateCompensationsFail',
      },
    ],
  },
}
