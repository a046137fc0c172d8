/** Sessions, and the streams that carry them. */
import type { DashboardInfo } from './dashboard.ts'
import { inRange, now, perMinute, recorded, series } from './query.ts'

export const sessions: DashboardInfo = {
  name: 'sessions',
  title: 'sessions and streams',
  description: 'Sessions and the transports that carry them: how many, how they begin, why they end.',
  rows: {
    Sessions: [
      {
        title: 'Sessions',
        description: 'Resources that are bound at this moment, by route.',
        unit: 'short',
        as: 'areas',
        queries: { '{{route}}': now('sessionsActive', {}, ['route']) },
      },
      {
        title: 'Sessions by listener',
        description: 'The same by listener, which is to say by wire: TCP, direct TLS, WebSocket.',
        unit: 'short',
        as: 'areas',
        queries: { '{{listener}}': now('sessionsActive', {}, ['listener']) },
      },
      {
        title: 'Logins',
        description: 'Sessions that began, by listener: a resource was bound.',
        unit: 'cpm',
        queries: { '{{listener}}': perMinute('sessionsOpened', {}, ['listener']) },
      },
      {
        title: 'Ends of sessions',
        description: 'Sessions that ended, by cause. client-lost and upstream-lost are transports that broke.',
        unit: 'cpm',
        as: 'areas',
        queries: { '{{cause}}': perMinute('sessionsClosed', {}, ['cause']) },
        alert: 'StanzagateSlowClients',
      },
      {
        title: 'Streams resumed',
        description:
          'Streams that clients asked to resume (XEP-0198): resumed, refused by the server, or unknown to the gate, as all are after its restart.',
        unit: 'cpm',
        queries: { '{{outcome}}': perMinute('resumptions', {}, ['outcome']) },
      },
      {
        title: 'Share of resumptions that succeed',
        description: 'Of the streams that clients asked to resume, the share that went on.',
        unit: 'percentunit',
        queries: {
          '{{instance}} {{route}}': recorded('instance_route:stanzagate_stream_resumptions_resumed:ratio_rate5m', [
            'route',
          ]),
        },
      },
    ],
    'On the way to a session': [
      {
        title: "Clients' streams by wire and TLS",
        description:
          "Streams of clients at this moment, by wire and by the gate's TLS; none: plain, or somebody in front has it.",
        unit: 'short',
        as: 'areas',
        queries: { '{{wire}} {{tls}}': now('clientStreams', {}, ['wire', 'tls']) },
      },
      {
        title: "Clients' streams by phase",
        description:
          'How far the streams of clients have come; bound: they have a session. Many that stay in another phase hold places.',
        unit: 'short',
        as: 'areas',
        queries: { '{{phase}}': now('clientStreams', {}, ['phase']) },
      },
      {
        title: 'Negotiations that failed',
        description:
          "Steps to a session that failed: TLS, SASL (not-authorized: a wrong password), binding a resource. The condition is the server's.",
        unit: 'cpm',
        queries: {
          '{{stage}}: {{condition}} ({{listener}})': perMinute('negotiation', {}, ['stage', 'condition', 'listener']),
        },
        alert: 'StanzagateLoginFailures',
      },
      {
        title: 'Failed negotiations in this time range',
        description: 'The same, added up, by listener and route.',
        unit: 'short',
        as: 'table',
        queries: {
          '{{stage}} {{condition}} {{listener}} {{route}}': `${inRange('negotiation', {}, ['stage', 'condition', 'listener', 'route'])} > 0`,
        },
      },
    ],
    Streams: [
      {
        title: 'Transports',
        description:
          'Transports that stand at this moment: accepted from clients, dialled to upstreams. Far more clients than upstreams: many are negotiating, or an upstream is gone.',
        unit: 'short',
        queries: { '{{side}} {{listener}}': now('streamsActive', {}, ['side', 'listener']) },
      },
      {
        title: 'Transports opened',
        description: 'Transports that began: accepted from clients, dialled to upstreams.',
        unit: 'cpm',
        queries: { '{{side}} {{listener}}': perMinute('streamsOpened', {}, ['side', 'listener']) },
      },
      {
        title: "Ends of clients' transports",
        description: "Clients' transports that ended, by cause.",
        unit: 'cpm',
        as: 'areas',
        queries: { '{{cause}}': perMinute('streamsClosed', { side: 'client' }, ['cause']) },
      },
      {
        title: 'Causes in this time range',
        description: 'Ends of transports by side, listener and cause.',
        unit: 'short',
        as: 'table',
        queries: {
          '{{side}} {{listener}} {{cause}}': `${inRange('streamsClosed', {}, ['side', 'listener', 'cause'])} > 0`,
        },
      },
      {
        title: 'Upstreams not reached',
        description: "Attempts to reach an upstream that failed, by reason; each ends a client's stream.",
        unit: 'cpm',
        queries: { '{{upstream}}: {{reason}}': perMinute('connectErrors', {}, ['upstream', 'reason']) },
        alert: 'StanzagateUpstreamUnreachable',
      },
    ],
    'Members of upstreams': [
      {
        title: 'Connections by member',
        description: 'Connections of the gate to each server of each upstream.',
        unit: 'short',
        queries: { '{{upstream}} {{member}}': now('memberSessions', {}, ['upstream', 'member']) },
      },
      {
        title: 'Members that are up',
        description:
          'Servers that get streams (1), and those that have failed and were ejected (0). These are asked again after a pause; then their share grows for half a minute.',
        unit: 'short',
        queries: { '{{instance}} {{upstream}} {{member}}': series('memberUp') },
        alert: 'StanzagateMemberEjected',
      },
      {
        title: 'Ejections and failovers',
        description:
          'Times that a member was ejected, and connection attempts that went to another member after one had failed.',
        unit: 'short',
        queries: {
          '{{upstream}} {{member}} ejected': inRange('memberEjections', {}, ['upstream', 'member']),
          '{{upstream}} failovers': inRange('failovers', {}, ['upstream']),
        },
      },
    ],
    'The gate counts right': [
      {
        title: 'Sessions: opened - closed - active',
        description: "An invariant of the gate's counting: anything but 0 is an error in the gate.",
        unit: 'short',
        as: 'numbers',
        alarm: 1,
        queries: {
          difference: `sum(${series('sessionsOpened')}) - sum(${series('sessionsClosed')}) - sum(${series('sessionsActive')})`,
        },
        alert: 'StanzagateMiscounts',
      },
      {
        title: 'Transports: opened - closed - active',
        description: "The same for transports, clients' and upstreams' together.",
        unit: 'short',
        as: 'numbers',
        alarm: 1,
        queries: {
          difference: `sum(${series('streamsOpened')}) - sum(${series('streamsClosed')}) - sum(${series('streamsActive')})`,
        },
        alert: 'StanzagateMiscounts',
      },
    ],
  },
}
