/** A panel as one entry of data, and what Grafana is told of it. */
import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import {
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat, QueryEditorMode } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as tables from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { type MetricInfo, metrics } from '../../src/observe/metric-definitions.ts'
import { processMetrics } from '../../src/observe/process-metrics.ts'

/** Where the folder docs/ is served: a stand-in, for sed (see dashboards/README.md). */
export const docs = 'https://stanzagate.example/docs'

/** The data source that is chosen at the top. */
export const datasource = { type: 'prometheus', uid: `\${datasource}` }

export interface PanelInfo {
  readonly title: string
  /** What it shows, and what to make of it: a sentence or two. */
  readonly description: string
  /** As Grafana names it: `cpm` is "per minute", `cps` "per second". */
  readonly unit: 'short' | 'cpm' | 'cps' | 's' | 'percentunit' | 'bytes' | 'Bps'
  /** Default: lines over time. */
  readonly as?: 'lines' | 'areas' | 'numbers' | 'bars' | 'table'
  /** Of 24 columns; default 12. */
  readonly width?: number
  /** Default: 8 rows, 4 for numbers. */
  readonly height?: number
  /** Legend to query. A legend names labels that the query leaves: `{{type}}`. */
  readonly queries: Readonly<Record<string, string>>
  /** From this value on it is shown in red; with `below`, under it. */
  readonly alarm?: number | { readonly below: number }
  readonly max?: number
  /** The alert that watches the same. */
  readonly alert?: string
}

/** What all the builders of panels have. */
type Builder = timeseries.PanelBuilder | stat.PanelBuilder | bargauge.PanelBuilder | tables.PanelBuilder

export function panelOf(info: PanelInfo, id: number): { build(): Panel } {
  const { title, description, unit, as = 'lines', width = 12, queries, alarm, max } = info
  const builder = ofKind(as)
  const isNow = as === 'numbers' || as === 'bars' || as === 'table'
  builder
    .id(id)
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .span(width)
    .height(info.height ?? (as === 'numbers' ? 4 : 8))
    .links(linksOf(info))
  if (max !== undefined) builder.max(max)
  if (alarm !== undefined) {
    const [value, ...colors] = typeof alarm === 'number' ? [alarm, 'green', 'red'] : [alarm.below, 'red', 'green']
    const steps = colors.map((color, index) => ({ value: index === 0 ? null : value, color }))
    builder.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
  }
  for (const [index, [legend, expr]] of Object.entries(queries).entries()) {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index))
      .datasource(datasource)
      .editorMode(QueryEditorMode.Code)
      .expr(expr)
      .legendFormat(legend)
    if (as === 'table') query.format(PromQueryFormat.Table)
    builder.withTarget(isNow ? query.instant() : query.range())
  }
  return builder
}

function ofKind(as: NonNullable<PanelInfo['as']>): Builder {
  const last = new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false).fields('')
  switch (as) {
    case 'numbers':
      return new stat.PanelBuilder().reduceOptions(last).graphMode(BigValueGraphMode.None)
    case 'bars':
      return new bargauge.PanelBuilder().reduceOptions(last).orientation(VizOrientation.Horizontal)
    case 'table':
      return new tables.PanelBuilder()
        .showHeader(true)
        .filterable(true)
        .withTransformation({
          id: 'organize',
          options: { excludeByName: { Time: true }, renameByName: { Value: 'number' } },
        })
    case 'lines':
    case 'areas': {
      const legend = new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
      const tooltip = new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending)
      const isStacked = as === 'areas'
      return new timeseries.PanelBuilder()
        .legend(legend)
        .tooltip(tooltip)
        .lineWidth(1)
        .fillOpacity(isStacked ? 20 : 8)
        .showPoints(VisibilityMode.Never)
        .stacking(new StackingConfigBuilder().mode(isStacked ? StackingMode.Normal : StackingMode.None).group('A'))
    }
  }
}

/** To what the documents say of its first metric, and of its alert. */
function linksOf({ queries, alert }: PanelInfo): DashboardLinkBuilder[] {
  const named = Object.values(queries)
    .join(' ')
    .matchAll(/\bstanzagate_\w+/g)
  const metric = [...named].map(([name]) => anchorOf(name)).find(anchor => anchor !== undefined)
  // What is recorded is made of several.
  const links = [link('What the metrics are', `${docs}/metrics.md#${metric ?? 'the-gate'}`)]
  if (alert !== undefined) links.push(link(`Runbook: ${alert}`, `${docs}/runbook.md#${alert.toLowerCase()}`))
  return links
}

function anchorOf(series: string): string | undefined {
  const name = series.replace(/_bucket$|_count$|_sum$/, '')
  const has = (table: Readonly<Record<string, MetricInfo>>) => Object.values(table).some(info => info.name === name)
  return has(metrics) ? name : has(processMetrics) ? 'the-process' : undefined
}

function link(title: string, url: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).targetBlank(true)
}
