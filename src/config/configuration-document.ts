/** The text of docs/configuration.md, made of the configuration's schema. `node scripts/configuration.mjs` writes the file. */

import { rules as allRules } from '../rules/all-rules.ts'

/** A part of the schema, as far as it is shown. */
export interface SchemaPart {
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly type?: string
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, SchemaPart>>
  readonly additionalProperties?: SchemaPart | boolean
  readonly required?: readonly string[]
  readonly items?: SchemaPart
  readonly oneOf?: readonly SchemaPart[]
}

export interface ConfigurationSchema extends SchemaPart {
  readonly definitions: Readonly<Record<string, SchemaPart>>
}

interface Row {
  readonly key: string
  readonly values: string
  readonly fallback: string
  readonly meaning: string
}

/** Sections that a reload takes while sessions exist; the others need a restart. */
export const reloadedSections: readonly string[] = ['upstreams', 'routes', 'rules', 'log']

const introduction = `# Configuration

This page is made of \`schemas/config.schema.json\` by \`node scripts/configuration.mjs\`; a test compares them.

The file is YAML or JSON. Unknown keys are errors. Relative paths start at the folder of the file. A text that is \`\${NAME}\` as a whole is
taken from that variable of the environment. \`stanzagate check --config FILE\` names every problem with file, line, key and remedy.
\`stanzagate.example.yaml\` has every key. Editors find the schema by this line at the beginning of the file:

\`\`\`yaml
# yaml-language-server: $schema=https://raw.githubusercontent.com/stanzagate/stanzagate/main/schemas/config.schema.json
\`\`\`

A *reload* (SIGHUP, or \`POST /api/reload\`) reads the file again. It is applied completely or not at all, and no session ends. Sections that
need a restart are named in the log and in the answer. Certificates are read again in any case.
`

/** `rules`: the names of the rules, which are keys of the section `rules`. */
export function configurationDocument(schema: ConfigurationSchema, rules: readonly string[]): string {
  const sections = Object.entries(schema.properties ?? {}).map(([name, part]) => section(schema, name, part, rules))
  return `${introduction}\n${sections.join('\n')}`
}

function section(schema: ConfigurationSchema, name: string, part: SchemaPart, rules: readonly string[]): string {
  const isRequired = schema.required?.includes(name) === true
  const reload = reloadedSections.includes(name) ? 'Taken by a reload.' : 'Needs a restart.'
  const rows = rowsOf(schema, name, part)
  const modes = rules.map(rule => ({
    key: `rules.${rule}`,
    values: '',
    fallback: allRules.some(({ name, isOffByDefault }) => name === rule && isOffByDefault === true)
      ? '`off`'
      : '`rules.default`',
    meaning: `The mode of [\`${rule}\`](rules.md#rules).`,
  }))
  return [
    `## \`${name}\``,
    '',
    `${part.title ?? ''} ${isRequired ? 'Required.' : 'Optional.'} ${reload}`.trim(),
    '',
    '| Key | Values | Default | Meaning |',
    '|---|---|---|---|',
    ...[...rows, ...(name === 'rules' ? modes : [])].map(
      ({ key, values, fallback, meaning }) => `| \`${key}\` | ${values} | ${fallback} | ${meaning} |`,
    ),
    '',
  ].join('\n')
}

/** The keys below a part, each in a row; of a union the keys of all its cases, each once. */
function rowsOf(schema: ConfigurationSchema, path: string, named: SchemaPart): Row[] {
  const part = resolved(schema, named)
  if (part.items !== undefined) return rowsOf(schema, `${path}[]`, part.items)
  const rows = new Map<string, Row>()
  for (const each of part.oneOf ?? [part]) {
    for (const [name, child] of Object.entries(each.properties ?? {})) {
      const key = `${path}.${name}`
      for (const row of [
        rowOf(schema, key, child, each.required?.includes(name) === true),
        ...rowsOf(schema, key, child),
      ])
        rows.set(row.key, merged(rows.get(row.key), row))
    }
  }
  if (typeof part.additionalProperties === 'object' && path !== 'rules')
    for (const row of rowsOf(schema, `${path}.NAME`, part.additionalProperties)) rows.set(row.key, row)
  return [...rows.values()]
}

/** The same key in two cases of a union. */
function merged(before: Row | undefined, row: Row): Row {
  if (before === undefined) return row
  const both = (one: string, other: string) =>
    one === other || other === '' ? one : one === '' ? other : `${one}${one.endsWith('.') ? ' ' : '; '}${other}`
  return {
    key: row.key,
    values: both(before.values, row.values),
    fallback: both(before.fallback, row.fallback),
    meaning: both(before.meaning, row.meaning),
  }
}

function rowOf(schema: ConfigurationSchema, key: string, named: SchemaPart, isRequired: boolean): Row {
  const part = resolved(schema, named)
  const fallback = part.default === undefined ? (isRequired ? 'required' : '') : `\`${spelled(part.default)}\``
  return { key, values: valuesOf(schema, part), fallback, meaning: (part.title ?? '').replaceAll('|', '\\|') }
}

function valuesOf(schema: ConfigurationSchema, part: SchemaPart): string {
  if (part.const !== undefined) return `\`${spelled(part.const)}\``
  if (part.enum !== undefined) return part.enum.map(value => `\`${spelled(value)}\``).join(', ')
  if (part.items !== undefined && resolved(schema, part.items).properties === undefined)
    return `a list: ${resolved(schema, part.items).description ?? ''}`
  if (part.properties !== undefined || part.oneOf !== undefined) return 'a map'
  return (part.description ?? '').replaceAll('|', '\\|')
}

function spelled(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The part that a reference names, with what the reference itself says. */
function resolved(schema: ConfigurationSchema, part: SchemaPart): SchemaPart {
  if (part.$ref === undefined) return part
  const { $ref, ...own } = part
  const definition = schema.definitions[$ref.replace('#/definitions/', '')] ?? {}
  return { ...resolved(schema, definition), ...own }
}
