/** A dashboard as rows of panels, and the JSON that Grafana reads. */
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { datasource, type PanelInfo, panelOf } from './panel.ts'
import { choices } from './query.ts'

export interface DashboardInfo {
  /** The file's name, and the end of its uid: never changed, since links and provisioning go by it. */
  readonly name: string
  readonly title: string
  readonly description: string
  readonly rows: Readonly<Record<string, readonly PanelInfo[]>>
}

/** Where the values of a choice come from. */
const sources: Readonly<Record<(typeof choices)[number], string>> = {
  job: 'stanzagate_build_info',
  instance: 'stanzagate_build_info{job=~"$job"}',
  route: 'stanzagate_stanzas_total{job=~"$job",instance=~"$instance"}',
  upstream: 'stanzagate_upstream_connect_errors_total{job=~"$job",instance=~"$instance"}',
}

/** The text of dashboards/NAME.json. */
export function dashboardText({ name, title, description, rows }: DashboardInfo): string {
  const builder = new DashboardBuilder(`Stanzagate: ${title}`)
    .uid(`stanzagate-${name}`)
    .description(description)
    .tags(['stanzagate', 'xmpp'])
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('30s')
    .time({ from: 'now-6h', to: 'now' })
    .version(1)
    // Provisioned dashboards cannot be saved from within Grafana.
    .readonly()
    .link(
      new DashboardLinkBuilder('Stanzagate')
        .type(DashboardLinkType.Dashboards)
        .tags(['stanzagate'])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
  for (const choice of choices) builder.withVariable(variable(choice))
  let id = 0
  for (const [row, panels] of Object.entries(rows)) {
    builder.withRow(new RowBuilder(row).id(++id))
    for (const panel of panels) builder.withPanel(panelOf(panel, ++id))
  }
  // What the builders leave unset Grafana fills in; `null` is what it takes for "not stored yet".
  return `${JSON.stringify({ id: null, ...builder.build() }, atTheTop, 2)}\n`
}

/** Without a placement links stand at the top, where they are seen; the builders know only the menu. */
function atTheTop(key: string, value: unknown): unknown {
  return key === 'placement' && value === 'inControlsMenu' ? undefined : value
}

function variable(choice: (typeof choices)[number]): QueryVariableBuilder {
  const query = `label_values(${sources[choice]}, ${choice})`
  return (
    new QueryVariableBuilder(choice)
      .label(`${choice.charAt(0).toUpperCase()}${choice.slice(1)}`)
      .datasource(datasource)
      .query({ qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' })
      .definition(query)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // Other gates' series, which lack the label, are none of this one.
      .allValue('.+')
      .current({ selected: true, text: ['All'], value: ['$__all'] })
  )
}
