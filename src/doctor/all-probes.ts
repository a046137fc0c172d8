/**
 * Every probe, in the order of asking. T: V is a user's client that has asked for its roster and sent presence, the stranger an address
 * of a component. L: the leg between the gate and the server.
 */
import type { Probe } from './probe.ts'
import { t1, t2, t3, t4 } from './probes-approvals.ts'
import { t4b, t5, t7f, t10, t12, t13, t15 } from './probes-inbound.ts'
import { l1, l2, l3, l4, l5, l6, l7, l8 } from './probes-leg.ts'
import { t6, t7, t7b, t8, t9, t9b, t11, t14 } from './probes-outbound.ts'

export const probes: readonly Probe[] = [
  ...[l1, l2, l3, l4, l5, l6, l7, l8],
  ...[t1, t2, t3, t4, t4b, t5, t6, t7, t7b, t7f, t8, t9, t9b, t10, t11, t12, t13, t14, t15],
]
