// Writes docs/metrics.md from the table in src/observe/metric-definitions.ts. Needs a build: npm run build.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricsDocument } from '../dist/src/observe/metrics-document.js'
import { root } from './command.mjs'

mkdirSync(join(root, 'docs'), { recursive: true })
writeFileSync(join(root, 'docs', 'metrics.md'), metricsDocument())
