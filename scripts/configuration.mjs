// Writes docs/configuration.md from schemas/config.schema.json. Needs a build: npm run build.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configurationDocument } from '../dist/src/config/configuration-document.js'
import { rules } from '../dist/src/rules/all-rules.js'
import { root } from './command.mjs'

const schema = JSON.parse(readFileSync(join(root, 'schemas', 'config.schema.json'), 'utf8'))
const names = rules.map(rule => rule.name)
writeFileSync(join(root, 'docs', 'configuration.md'), configurationDocument(schema, names))
