// Writes docs/metrics.md from the table in src/observe/metric-definitions.ts, and shows the README's rows. Needs a build: npm run build.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricsDocument, metricsTable } from '../dist/src/observe/metrics-document.js'
import { root } from './command.mjs'

mkdirSync(join(root, 'docs'), { recursive: true })
writeFileSync(join(root, 'docs', 'metrics.md'), metricsDocument())
console.log(metricsTable())
