/** How the gate itself does. */
import type { DashboardInfo } from './dashboard.ts'
import { inRange, now, perMinute, quantile, rate, recorded, series } from './query.ts'

export const health: DashboardInfo = {
  name: 'health',
  title: 'health of the gate',
  description:
    "The gate's one thread, its memory and descriptors, its certificates, its audit, what it holds and its store.",
  rows: {
    'At a glance': [
      {
        title: 'Gates',
        description: 'Instances that run, by version of the gate and of Node.',
        unit: 'short',
        as: 'numbers',
        width: 8,
        queries: { '{{version}} on Node {{node}}': `count by (version, node) (${series('build')})` },
        alert: 'StanzagateDown',
      },
      {
        title: 'Running for',
        description: 'Time since the process began. Reset more often than you deploy: it crashes.',
        unit: 's',
        as: 'numbers',
        width: 8,
        queries: { '{{instance}}': `time() - ${series('started')}` },
        alert: 'StanzagateRestarts',
      },
      {
        title: 'Faults in this time range',
        description: 'Sessions that were ended because of an error in the gate itself. The log says which.',
        unit: 'short',
        as: 'numbers',
        width: 8,
        alarm: 1,
        queries: { faults: inRange('faults') },
        alert: 'StanzagateFaults',
      },
    ],
    Time: [
      {
        title: 'Time for one event',
        description: 'How long a session takes to decide on one event (a stanza, mostly): no network, no waiting.',
        unit: 's',
        queries: {
          median: quantile(0.5, 'receive'),
          '99 of 100': quantile(0.99, 'receive'),
          '999 of 1000': quantile(0.999, 'receive'),
        },
        alert: 'StanzagateSlowDecisions',
      },
      {
        title: 'Events',
        description: 'Events that sessions handle.',
        unit: 'cps',
        queries: {
          '{{instance}}': `sum by (instance) (rate(${series('receive', {}, '_count')}[$__rate_interval]))`,
        },
      },
      {
        title: 'Event loop at work',
        description: "Share of time that the gate's one thread is at work. Near 100 % it is too slow for its clients.",
        unit: 'percentunit',
        max: 1,
        queries: { '{{instance}}': recorded('instance:stanzagate_eventloop_active:ratio_rate5m') },
        alert: 'StanzagateEventLoopLag',
      },
      {
        title: 'Event loop: lateness',
        description: 'How late timers are: 99 of 100, and the worst, since the scrape before.',
        unit: 's',
        queries: {
          '{{instance}} 99 of 100': now('delay', {}, ['instance']),
          '{{instance}} worst': now('longestDelay', {}, ['instance']),
        },
        alert: 'StanzagateEventLoopLag',
      },
      {
        title: 'Processor',
        description:
          'Processor time used, of one core: the gate decides in one thread, so 1 is nearly all that it can use.',
        unit: 'percentunit',
        queries: { '{{instance}}': rate('cpu', {}, ['instance']) },
      },
      {
        title: 'Garbage collection',
        description: 'Share of time that the collector takes, by kind.',
        unit: 'percentunit',
        as: 'areas',
        queries: { '{{instance}} {{kind}}': rate('gc', {}, ['instance', 'kind']) },
      },
      {
        title: 'Event loop: work and waiting',
        description:
          'Seconds of each second that the event loop worked and waited. Together they are less than 1 only while it stands still.',
        unit: 's',
        as: 'areas',
        queries: { '{{instance}} {{state}}': rate('loop', {}, ['instance', 'state']) },
      },
      {
        title: 'Bytes',
        description: 'Bytes of streams, without what TLS adds, received from and sent to each side.',
        unit: 'Bps',
        queries: { '{{side}}: {{way}}': rate('bytes', {}, ['side', 'way']) },
      },
    ],
    Room: [
      {
        title: 'Memory',
        description:
          "Memory of the process in RAM, JavaScript's heap in use, in all and at most, and buffers beside it.",
        unit: 'bytes',
        queries: {
          '{{instance}} resident': now('resident', {}, ['instance']),
          '{{instance}} heap in use': now('heapUsed', {}, ['instance']),
          '{{instance}} heap': now('heapTotal', {}, ['instance']),
          '{{instance}} heap at most': now('heapLimit', {}, ['instance']),
          '{{instance}} buffers': now('external', {}, ['instance']),
        },
        alert: 'StanzagateHeapNearLimit',
      },
      {
        title: 'File descriptors: share in use',
        description: 'Descriptors in use, one for each transport, as a share of those that the process may open.',
        unit: 'percentunit',
        max: 1,
        queries: { '{{instance}}': recorded('instance:stanzagate_open_fds:ratio') },
        alert: 'StanzagateDescriptorsNearLimit',
      },
      {
        title: 'File descriptors',
        description: 'Descriptors in use, and those that the process may open.',
        unit: 'short',
        queries: {
          '{{instance}} in use': now('openFiles', {}, ['instance']),
          '{{instance}} allowed': now('maxFiles', {}, ['instance']),
        },
      },
    ],
    'Certificates and audit': [
      {
        title: 'Certificates expire',
        description: 'When the certificate in use at a listener expires; it is read again when its files change.',
        unit: 's',
        as: 'numbers',
        alarm: { below: 14 * 86_400 },
        queries: {
          '{{instance}} {{listener}}': `min by (instance, listener) (${series('expiry')}) - time()`,
        },
        alert: 'StanzagateCertificateExpires',
      },
      {
        title: 'Certificates read again',
        description:
          'Certificates whose files have changed; refused: the one before stays in use, and the log says why.',
        unit: 'short',
        as: 'areas',
        queries: { '{{listener}} {{outcome}}': inRange('reloads', {}, ['listener', 'outcome']) },
        alert: 'StanzagateCertificateRefused',
      },
      {
        title: 'Certificates refused',
        description: 'Listeners whose files hold a certificate that cannot be used: 1 until they are mended.',
        unit: 'short',
        as: 'numbers',
        queries: {
          '{{instance}} {{listener}}': `max by (instance, listener) (${series('refusedCertificate')})`,
        },
        alert: 'StanzagateCertificateRefused',
      },
      {
        title: 'Configurations read again',
        description:
          'On SIGHUP or by POST /api/reload; refused: nothing of it was taken, and the log names file, line and key.',
        unit: 'short',
        as: 'areas',
        queries: { '{{instance}} {{outcome}}': inRange('configReloads', {}, ['instance', 'outcome']) },
        alert: 'StanzagateReloadRefused',
      },
      {
        title: 'Audit',
        description:
          'Lines of the audit that were written, and lost: the file could not be written, or the disk was too slow.',
        unit: 'cpm',
        queries: { '{{instance}} {{outcome}}': perMinute('audit', {}, ['instance', 'outcome']) },
        alert: 'StanzagateAuditLinesLost',
      },
    ],
    'Requests that are held': [
      {
        title: 'Requests that are held',
        description:
          'Subscription requests of strangers that wait for room (rule pending-requests). The API names them: /api/accounts/JID.',
        unit: 'short',
        queries: { '{{instance}}': now('heldRequests', {}, ['instance']) },
      },
      {
        title: 'Requests held, released and forgotten',
        description:
          'left out: by the rule, once for each login at which the server delivers them; released: delivered when there was room; forgotten: for want of memory, the server still has them; release and deny by the operator: by the API or the console.',
        unit: 'short',
        queries: {
          '{{instance}} left out': inRange('rules', { rule: 'pending-requests', mode: 'enforce' }, ['instance']),
          '{{instance}} released': inRange('releasedRequests', {}, ['instance']),
          '{{instance}} forgotten': inRange('evictedRequests', {}, ['instance']),
          '{{instance}} {{decision}} by the operator': inRange('operatorDecisions', {}, ['instance', 'decision']),
        },
        alert: 'StanzagateHeldRequestsForgotten',
      },
      {
        title: 'Requests of strangers by class',
        description:
          'Classes as limits.pendingRequests.strangers names them. shown: delivered; held: waits for room; dropped: the class is set to drop; repeated: left out, it was shown already.',
        unit: 'short',
        queries: {
          '{{class}} {{outcome}}': `${inRange('strangerRequests', {}, ['class', 'outcome'])} > 0`,
          'denied at the server': `${inRange('deniedRequests')} > 0`,
        },
      },
    ],
    Store: [
      {
        title: 'Accounts recalled',
        description:
          'What the store knew of accounts whose session began. found: the roster as it was kept; nothing: nothing was kept; late: the roster came first; failed: the store could not be asked.',
        unit: 'short',
        as: 'areas',
        queries: { '{{outcome}}': inRange('recalls', {}, ['outcome']) },
      },
      {
        title: 'Calls of the store: time, 99 of 100',
        description:
          'Time to load an account, to save changes, to forget old accounts, to keep sessions for the next process, to take one out. No stanza waits for it.',
        unit: 's',
        // Without the operations of which there were no calls.
        queries: { '{{operation}}': `${quantile(0.99, 'storeSeconds', ['operation'])} >= 0` },
      },
      {
        title: 'Calls of the store that have failed',
        description: 'The traffic goes on; changes wait in memory and are written when the store works again.',
        unit: 'short',
        as: 'areas',
        queries: { '{{instance}} {{operation}}': inRange('storeErrors', {}, ['instance', 'operation']) },
        alert: 'StanzagateStoreFails',
      },
      {
        title: 'Sessions across restarts',
        description:
          'Resumable sessions that one process has kept for the next. kept: at its end; found: the client came back in time; expired: too late; lost: the store failed at the end; unreadable: of another version.',
        unit: 'short',
        as: 'areas',
        queries: { '{{instance}} {{event}}': inRange('keptSessions', {}, ['instance', 'event']) },
      },
      {
        title: 'Accounts that wait for the store',
        description:
          'Accounts with changes that are not in the store yet, whether it fails, and accounts whose changes were given up.',
        unit: 'short',
        queries: {
          '{{instance}} waiting': now('storeWaiting', {}, ['instance']),
          '{{instance}} failing': now('storeFailing', {}, ['instance']),
          '{{instance}} given up': inRange('storeGivenUp', {}, ['instance']),
        },
        alert: 'StanzagateStoreFails',
      },
    ],
  },
}
