import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { processMetrics } from '../../src/observe/process.ts'
import { metrics } from '../../src/observe/table.ts'
import { allows, byName, infoOf, promtool } from './scrape.ts'

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: unknown
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly Target[]
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly Variable[] }
  readonly panels: readonly Panel[]
}

const folder = fileURLToPath(new URL('../../../dashboards/', import.meta.url))
const dashboards = readdirSync(folder)
  .filter(file => file.endsWith('.json'))
  .map(file => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard] as const)

/** Labels that Prometheus adds to what it scrapes. */
const scraped = ['instance', 'job']

/** What an expression asks for that the gate does not have: metrics, labels, values of closed sets. */
function unknowns(expr: string): string[] {
  const found: string[] = []
  const labels = new Set(scraped)
  for (const [, name = '', matchers = ''] of expr.matchAll(/\b(stanzagate_\w+)(?:\{([^}]*)\})?/g)) {
    const info = infoOf(name)
    if (info === undefined || (info.kind === 'histogram' && name === info.name)) {
      found.push(name)
      continue
    }
    for (const label of Object.keys(info.labels)) labels.add(label)
    if (info.kind === 'histogram') labels.add('le')
    for (const [, label = '', operator = '', value = ''] of matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (scraped.includes(label)) continue
      const values = operator.endsWith('~') ? value.split('|') : [value]
      if (!(label in info.labels)) found.push(`${name}{${label}}`)
      else for (const one of values) if (!isAllowed(name, label, one)) found.push(`${name}{${label}="${one}"}`)
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

/** As Prometheus gets it from Grafana. */
function filled(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '6h').replaceAll(/\$\w+/g, '.*')
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
    ['sum by (le, instance) (rate(stanzagate_session_receive_seconds_bucket{job="x"}[5m]))'],
    ['sum by (route) (stanzagate_sessions_active{route=~"$route"})'],
  ]
  for (const [expr, ...unknown] of rows) t.same(unknowns(expr), unknown, expr)
})

t.test('there are dashboards', async t => {
  t.same(
    dashboards.map(([file]) => file),
    ['subscriptions.json'],
  )
})

for (const [file, { templating, panels, schemaVersion, uid }] of dashboards) {
  const charts = panels.filter(panel => panel.type !== 'row')
  const targets = charts.flatMap(({ title, targets = [] }) => targets.map(target => ({ title, ...target })))

  t.test(`${file}: variables`, async t => {
    t.match(uid, /^stanzagate-\w+$/)
    t.ok(schemaVersion >= 39)
    t.same(
      templating.list.map(({ type, name }) => `${type} ${name}`),
      ['datasource datasource', 'query instance', 'query route'],
    )
    for (const { name, type, definition = '' } of templating.list) {
      if (type !== 'query') continue
      const [, series = '', label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? []
      t.same(unknowns(`sum by (${label}) (${series})`), [], definition)
      t.equal(label, name)
    }
  })

  t.test(`${file}: every panel says what it shows, and asks only for what there is`, async t => {
    for (const panel of charts) {
      t.match(panel.description, /^[A-Z].{20,}\.$/, `${panel.title}: a description`)
      t.match(panel.fieldConfig?.defaults.unit, /^\w+$/, `${panel.title}: a unit`)
      t.match(JSON.stringify(panel.datasource), /"uid":"\$\{datasource\}"/, `${panel.title}: the chosen data source`)
      t.ok((panel.targets ?? []).length > 0, `${panel.title}: a query`)
    }
    for (const { title, expr, legendFormat } of targets) {
      t.same(unknowns(expr), [], `${title}: ${expr}`)
      const selectors = [...expr.matchAll(/stanzagate_\w+(\{[^}]*\})?/g)].map(match => match[1] ?? '')
      t.ok(
        selectors.every(each => each.includes('instance=~"$instance"')),
        `${title}: of the chosen instances`,
      )
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(match => match[1] as string)
      const has = grouped(expr).length === 0 ? scraped : grouped(expr)
      t.same(
        shown.filter(label => !has.includes(label)),
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
  const shown = new Set(
    dashboards.flatMap(([, { panels }]) =>
      panels.flatMap(({ targets = [] }) =>
        targets.flatMap(({ expr }) => [...expr.matchAll(/stanzagate_\w+/g)].map(match => infoOf(match[0])?.name)),
      ),
    ),
  )
  t.same(
    Object.values(metrics)
      .map(info => info.name)
      .filter(name => !shown.has(name)),
    [],
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
