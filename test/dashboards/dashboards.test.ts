// What Grafana is given: generated, up to date, asking only for what the gate has, and leaving nothing out.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { generated } from '../../dashboards/build/all.ts'
import { datasource as chosen, docs } from '../../dashboards/build/panel.ts'
import { choices, series } from '../../dashboards/build/query.ts'
import { metrics } from '../../src/observe/metric-definitions.ts'
import { processMetrics } from '../../src/observe/process-metrics.ts'
import { allows, byName, infoOf, promtool } from '../observe/scrape.ts'
import { anchorsOf, filled, recordingRules, root } from './files.ts'

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
  readonly datasource: unknown
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: unknown
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly options?: { readonly legend?: { readonly showLegend: boolean } }
  readonly links?: readonly { readonly url: string }[]
  readonly targets?: readonly Target[]
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly label?: string
  readonly allValue?: string
  readonly definition?: string
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly editable: boolean
  readonly templating: { readonly list: readonly Variable[] }
  readonly panels: readonly Panel[]
}

/** Metrics that no panel shows, each with its reason. */
const unseen: Readonly<Record<string, string>> = {}

const folder = join(root, 'dashboards')
const files = readdirSync(folder).filter(file => file.endsWith('.json'))
const dashboards = files.map(file => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard] as const)
const recorded = new Map(recordingRules().map(rule => [rule.record, rule.expr]))

/** Labels that Prometheus adds to what it scrapes. */
const scraped = ['instance', 'job']
const ofAlerts = ['alertname', 'alertstate', 'severity', ...scraped]

/** What an expression asks for that the gate does not have: metrics, labels, values of closed sets. */
function unknowns(expr: string): string[] {
  const found: string[] = []
  const labels = new Set(expr.includes('ALERTS') ? ofAlerts : scraped)
  for (const [, name = '', matchers = ''] of expr.matchAll(/((?:\w+:)?\bstanzagate_[\w:]+)(?:\{([^}]*)\})?/g)) {
    const info = infoOf(name)
    const record = recorded.get(name)
    if (record === undefined && (info === undefined || (info.kind === 'histogram' && name === info.name))) {
      found.push(name)
      continue
    }
    const own = record === undefined ? Object.keys(info?.labels ?? {}) : grouped(record)
    for (const label of own) labels.add(label)
    if (info?.kind === 'histogram') labels.add('le')
    for (const [, label = '', operator = '', value = ''] of matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (scraped.includes(label)) continue
      const values = operator.endsWith('~') ? value.split('|') : [value]
      if (!own.includes(label)) found.push(`${name}{${label}}`)
      else if (info !== undefined)
        for (const one of values) if (!isAllowed(name, label, one)) found.push(`${name}{${label}="${one}"}`)
    }
  }
  for (const label of grouped(expr)) if (!labels.has(label)) found.push(`by (${label})`)
  return found
}

function isAllowed(name: string, label: string, value: string): boolean {
  return value.startsWith('$') || allows(infoOf(name)?.labels[label], value)
}

function grouped(expr: string): string[] {
  return [...expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, labels = '']) =>
    labels.split(',').map(label => label.trim()),
  )
}

/** Labels that are left: those that are grouped by, or all that the series has. */
function left(expr: string): string[] {
  const by = grouped(expr)
  if (by.length > 0) return by
  const [name = ''] = /(?:\w+:)?\bstanzagate_[\w:]+/.exec(expr) ?? []
  if (/\b(?:sum|count|min|max)\s*\(/.test(expr)) return []
  return [...scraped, ...grouped(recorded.get(name) ?? ''), ...Object.keys(infoOf(name)?.labels ?? {})]
}

function checkRules(t: Test, expressions: readonly string[]): ReturnType<typeof promtool> {
  const rules = expressions.map((expr, i) => ({ record: `checked:expression:${i}`, expr }))
  // JSON is YAML.
  const dir = t.testdir({ 'rules.yaml': JSON.stringify({ groups: [{ name: 'all', rules }] }) })
  return promtool(['check', 'rules', join(dir, 'rules.yaml')])
}

t.test('what the gate does not have is seen', async t => {
  const rows: readonly (readonly [expr: string, ...unknown: string[]])[] = [
    ['stanzagate_stanza_total', 'stanzagate_stanza_total'],
    ['rate(stanzagate_stanzas_total{kind="presense"}[5m])', 'stanzagate_stanzas_total{kind="presense"}'],
    ['rate(stanzagate_stanzas_total{type=~"subscribe|sub"}[5m])', 'stanzagate_stanzas_total{type="sub"}'],
    ['sum by (jid) (stanzagate_sessions_active)', 'by (jid)'],
    ['stanzagate_sessions_active{cause="timeout"}', 'stanzagate_sessions_active{cause}'],
    ['stanzagate_session_receive_seconds', 'stanzagate_session_receive_seconds'],
    ['instance:stanzagate_nothing:ratio', 'instance:stanzagate_nothing:ratio'],
    [
      'instance:stanzagate_eventloop_active:ratio_rate5m{route="x"}',
      'instance:stanzagate_eventloop_active:ratio_rate5m{route}',
    ],
    ['sum by (le, instance) (rate(stanzagate_session_receive_seconds_bucket{job="x"}[5m]))'],
    ['sum by (route) (stanzagate_sessions_active{route=~"$route"})'],
  ]
  for (const [expr, ...unknown] of rows) t.same(unknowns(expr), unknown, expr)
})

t.test('a query in the making names only what there is', async t => {
  t.equal(
    series('stanzas', { type: ['subscribe', 'subscribed'], verdict: { not: 'forward' } }),
    'stanzagate_stanzas_total{type=~"subscribe|subscribed",verdict!="forward",job=~"$job",instance=~"$instance",route=~"$route"}',
  )
  t.throws(() => series('stanzas', { type: 'sub' }), /stanzagate_stanzas_total: type is never sub/)
})

t.test('what is checked in is what the entries give: npm run dashboards', async t => {
  const texts = generated()
  t.same(files.toSorted(), [...texts.keys()].toSorted())
  for (const [file, text] of texts) t.equal(readFileSync(join(folder, file), 'utf8'), text, file)
})

t.test('uids are what links and provisioning go by', async t => {
  t.same(
    dashboards.map(([, { uid }]) => uid),
    ['abuse', 'health', 'overview', 'sessions', 'subscriptions'].map(name => `stanzagate-${name}`),
  )
})

for (const [file, { templating, panels, schemaVersion, editable }] of dashboards) {
  const charts = panels.filter(panel => panel.type !== 'row')
  const targets = charts.flatMap(({ title, targets = [] }) => targets.map(target => ({ title, ...target })))

  t.test(`${file}: variables`, async t => {
    t.ok(schemaVersion >= 39)
    t.same(
      templating.list.map(({ type, name }) => `${type} ${name}`),
      ['datasource datasource', ...choices.map(choice => `query ${choice}`)],
    )
    t.equal(editable, false, 'what is provisioned is not saved from within Grafana')
    for (const { name, type, label: shown, allValue, definition = '' } of templating.list) {
      t.equal(shown, type === 'query' ? `${name.charAt(0).toUpperCase()}${name.slice(1)}` : 'Data source')
      if (type !== 'query') continue
      t.equal(allValue, '.+', `${name}: all have one`)
      if (name !== 'job') t.match(definition, 'job=~"$job"', `${name}: of the chosen job`)
      const [, series = '', label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? []
      t.same(unknowns(`sum by (${label}) (${series})`), [], definition)
      t.equal(label, name)
    }
  })

  t.test(`${file}: every panel says what it shows, and asks only for what there is`, async t => {
    for (const panel of charts) {
      t.match(panel.description, /^[A-Za-z].{20,}\.$/, `${panel.title}: a description`)
      t.match(panel.fieldConfig?.defaults.unit, /^\w+$/, `${panel.title}: a unit`)
      t.strictSame(panel.datasource, chosen, `${panel.title}: data source`)
      t.ok((panel.targets ?? []).length > 0, `${panel.title}: a query`)
      if (panel.type === 'timeseries') t.equal(panel.options?.legend?.showLegend, true, `${panel.title}: a legend`)
      t.ok((panel.links ?? []).length > 0, `${panel.title}: a link to the documents`)
      for (const { url } of panel.links ?? []) {
        const [document = '', anchor = ''] = url.replace(`${docs}/`, '').split('#')
        t.ok(anchorsOf(`docs/${document}`).has(anchor), `${panel.title}: ${url}`)
      }
    }
    for (const { title, expr, legendFormat, datasource } of targets) {
      t.strictSame(datasource, chosen, `${title}: data source`)
      t.same(unknowns(expr), [], `${title}: ${expr}`)
      for (const [whole, name = '', matchers = ''] of expr.matchAll(/((?:\w+:)?\bstanzagate_[\w:]+)(\{[^}]*\})?/g)) {
        const has = [
          'job',
          'instance',
          ...grouped(recorded.get(name) ?? ''),
          ...Object.keys(infoOf(name)?.labels ?? {}),
        ]
        for (const choice of choices.filter(choice => has.includes(choice)))
          t.match(
            matchers,
            new RegExp(`\\b${choice}=~"\\$${choice}\\|?"`),
            `${title}: ${whole}: of the chosen ${choice}`,
          )
      }
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(match => match[1] as string)
      t.not(legendFormat, '', `${title}: a legend`)
      t.same(
        shown.filter(label => !left(expr).includes(label)),
        [],
        `${title}: a legend of labels that are left: ${legendFormat}`,
      )
    }
  })

  t.test(`${file}: ids and places are each one panel's`, async t => {
    t.equal(new Set(panels.map(panel => panel.id)).size, panels.length)
    t.equal(new Set(charts.map(panel => panel.title)).size, charts.length)
    const taken = new Set<string>()
    for (const { title, gridPos } of panels) {
      t.ok(gridPos.x + gridPos.w <= 24, `${title}: within the width`)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          if (taken.has(`${x} ${y}`)) t.fail(`${title} overlaps`)
          taken.add(`${x} ${y}`)
        }
    }
  })

  t.test(`${file}: Prometheus understands every query`, async t => {
    const { status, said } = checkRules(
      t,
      targets.map(({ expr }) => filled(expr)),
    )
    t.equal(status, 0, said)
  })
}

t.test('every metric of the gate has its panel', async t => {
  const asked = dashboards.flatMap(([, { panels }]) =>
    panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  )
  const shown = new Set(
    [
      ...asked,
      ...asked.flatMap(expr => [...expr.matchAll(/\w+:stanzagate_[\w:]+/g)].map(([name]) => recorded.get(name))),
    ]
      .flatMap(expr => [...(expr ?? '').matchAll(/\bstanzagate_\w+/g)])
      .map(([name]) => infoOf(name)?.name),
  )
  t.same(
    [...byName.keys()].filter(name => !shown.has(name)).toSorted(),
    Object.keys(unseen).toSorted(),
    'but those that are named here',
  )
})

t.test("the documents' queries are right too", async t => {
  const examples = [...byName.values()].map(info => info.example)
  for (const example of examples) t.same(unknowns(example), [], example)
  t.equal(byName.size, Object.keys(metrics).length + Object.keys(processMetrics).length, 'no name twice')
  const { status, said } = checkRules(t, examples)
  t.equal(status, 0, said)
  t.not(checkRules(t, ['sum by type (stanzagate_sessions_active)']).status, 0, 'it looks')
})
