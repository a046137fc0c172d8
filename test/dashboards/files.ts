/** What is checked in for Prometheus, and the documents that it points to. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

/** The repository, seen from dist/test/dashboards. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))

export interface RecordingRule {
  readonly record: string
  readonly expr: string
}

export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface RuleTest {
  readonly name: string
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[]
}

export const ruleFiles = ['recording.yaml', 'alerts.yaml'].map(file => join(root, 'dashboards/prometheus', file))
const testFolder = join(root, 'dashboards/prometheus/tests')
export const ruleTestFiles = readdirSync(testFolder).map(file => join(testFolder, file))

export function recordingRules(): RecordingRule[] {
  return rulesOf(ruleFiles[0] as string)
}

export function alertRules(): AlertRule[] {
  return rulesOf(ruleFiles[1] as string)
}

export function ruleTests(): RuleTest[] {
  return ruleTestFiles.flatMap(file => (parse(readFileSync(file, 'utf8')) as { tests: RuleTest[] }).tests)
}

/** What a link may point to in a Markdown file: its headings, as GitHub and its like make anchors of them. */
export function anchorsOf(file: string): Set<string> {
  const headings = readFileSync(join(root, file), 'utf8').matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** A panel's query as Prometheus gets it from Grafana, with every choice on All. */
export function filled(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '6h').replaceAll(/\$\w+/g, '.*')
}

function rulesOf<Rule>(file: string): Rule[] {
  const { groups } = parse(readFileSync(file, 'utf8')) as { groups: readonly { rules: readonly Rule[] }[] }
  return groups.flatMap(group => group.rules)
}
