/** Every dashboard. */
import { abuse } from './abuse.ts'
import { type DashboardInfo, dashboardText } from './dashboard.ts'
import { health } from './health.ts'
import { overview } from './overview.ts'
import { sessions } from './sessions.ts'
import { subscriptions } from './subscriptions.ts'

export const dashboards: readonly DashboardInfo[] = [overview, subscriptions, abuse, sessions, health]

/** Every generated file: its name in dashboards/, and its text. */
export function generated(): ReadonlyMap<string, string> {
  return new Map(dashboards.map(info => [`${info.name}.json`, dashboardText(info)]))
}
