// `npm run sbom`: a CycloneDX list of what the package depends on, made by npm from the lockfile. npm's own `--omit=dev` also leaves out
// what both the package and its development need; here only what the lockfile calls `dev` is left out.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './command.mjs'

const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only']
const sbom = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 }))
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const needed = new Set(
  Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`),
)
const nameOf = ({ group, name }) => (group === undefined ? name : `${group}/${name}`)
const own = sbom.metadata.component['bom-ref']
sbom.metadata.component.name = name
sbom.components = sbom.components.filter(component => needed.has(`${nameOf(component)}@${component.version}`))
const refs = new Set([own, ...sbom.components.map(component => component['bom-ref'])])
sbom.dependencies = sbom.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(each => refs.has(each)) }))
console.log(JSON.stringify(sbom, null, 2))
