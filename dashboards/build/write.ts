/** `npm run dashboards`: writes dashboards/*.json. The same entries give the same files; test/dashboards holds them against these. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generated } from './all.ts'

/** dashboards/, seen from dist/dashboards/build, where this runs. */
const folder = fileURLToPath(new URL('../../../dashboards/', import.meta.url))

for (const [file, text] of generated()) writeFileSync(join(folder, file), text)
