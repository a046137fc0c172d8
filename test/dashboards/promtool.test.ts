// Recording and alert rules: Prometheus takes them, each alert fires when it should and not otherwise, and says where help is.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { dashboards } from '../../dashboards/build/all.ts'
import { docs } from '../../dashboards/build/panel.ts'
import { infoOf, promtool } from '../observe/scrape.ts'
import { alertRules, anchorsOf, recordingRules, root, ruleFiles, ruleTestFiles, ruleTests } from './files.ts'

const alerts = alertRules()
const recording = recordingRules()

t.test('promtool takes the rules, and every test of them holds', async t => {
  const checked = promtool(['check', 'rules', ...ruleFiles])
  t.equal(checked.status, 0, checked.said)
  t.match(checked.said, new RegExp(`${alerts.length} rules found`))
  const tested = promtool(['test', 'rules', ...ruleTestFiles])
  t.equal(tested.status, 0, tested.said)
})

t.test('each alert has a case in which it fires and one in which it does not', async t => {
  const tests = ruleTests()
  for (const { alert } of alerts) {
    const cases = tests
      .flatMap(test => test.promql_expr_test)
      .filter(({ expr }) => expr === `ALERTS{alertname="${alert}",alertstate="firing"}`)
    t.ok(
      cases.some(({ exp_samples: samples }) => samples.length > 0),
      `${alert} fires`,
    )
    t.ok(
      cases.some(({ exp_samples: samples }) => samples.length === 0),
      `${alert} keeps silent`,
    )
  }
  for (const { record } of recording)
    t.ok(
      tests.some(test => test.promql_expr_test.some(({ expr }) => expr.includes(record))),
      `${record} is tried`,
    )
})

t.test('each alert says how bad it is, what is the matter, and where the runbook has it', async t => {
  const anchors = anchorsOf('docs/runbook.md')
  t.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
  for (const { alert, labels, annotations } of alerts) {
    t.match(labels.severity, /^(critical|warning|info)$/, alert)
    t.match(annotations.summary, /^.{20,90}$/, alert)
    t.match(annotations.description, /\.$/, alert)
    t.equal(annotations.runbook_url, `${docs}/runbook.md#${alert.toLowerCase()}`)
    t.ok(anchors.has(alert.toLowerCase()), `${alert} has its entry`)
  }
  const titles = new Set(alerts.map(({ alert }) => alert.toLowerCase()))
  const entries = readFileSync(join(root, 'docs/runbook.md'), 'utf8').matchAll(/^## (Stanzagate\w+)$/gm)
  for (const [, entry = ''] of entries) t.ok(titles.has(entry.toLowerCase()), `${entry} is an alert`)
  for (const { title, alert } of dashboards.flatMap(({ rows }) => Object.values(rows).flat()))
    if (alert !== undefined) t.ok(titles.has(alert.toLowerCase()), `${title}: ${alert}`)
})

t.test('the words of an alert name only labels that it has', async t => {
  for (const { alert, expr, annotations } of alerts) {
    const named = [
      ...Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
    ].map(match => match[1] as string)
    const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ')
    const record = recording.find(rule => expr.startsWith(rule.record))
    const own = Object.keys(infoOf(/stanzagate_\w+/.exec(expr)?.[0] ?? '')?.labels ?? {})
    const has = grouped ?? /\bby \(([^)]*)\)/.exec(record?.expr ?? '')?.[1]?.split(', ') ?? ['instance', 'job', ...own]
    t.same(
      named.filter(label => !has.includes(label)),
      [],
      alert,
    )
  }
})

t.test("rules, and the runbook's queries, ask only for metrics that there are", async t => {
  const records = new Set(recording.map(rule => rule.record))
  const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8')
  const queries = [...runbook.matchAll(/```promql\n([^`]*)```/g)].flatMap(([, text = '']) => text.trim().split('\n'))
  t.ok(queries.length >= alerts.length, 'a query for each alert')
  for (const expr of [...alerts, ...recording].map(rule => rule.expr).concat(queries))
    for (const [name] of expr.matchAll(/(?:\w+:)?\bstanzagate_[\w:]+/g))
      t.ok(records.has(name) || infoOf(name) !== undefined, `${name} in ${expr}`)
  const rules = queries.map((expr, i) => ({ record: `checked:query:${i}`, expr }))
  const dir = t.testdir({ 'rules.yaml': JSON.stringify({ groups: [{ name: 'all', rules }] }) })
  const { status, said } = promtool(['check', 'rules', join(dir, 'rules.yaml')])
  t.equal(status, 0, said)
})

t.test('Grafana is told where Prometheus and the dashboards are', async t => {
  const read = (file: string) =>
    parse(readFileSync(join(root, 'dashboards/grafana/provisioning', file), 'utf8')) as Record<string, unknown>
  t.match(read('datasources/stanzagate.yaml'), {
    apiVersion: 1,
    datasources: [{ type: 'prometheus', access: 'proxy', uid: 'stanzagate', url: /^http/ }],
  })
  t.match(read('dashboards/stanzagate.yaml'), {
    apiVersion: 1,
    providers: [{ type: 'file', folder: 'Stanzagate', options: { path: '/etc/grafana/stanzagate' } }],
  })
})
