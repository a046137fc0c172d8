/** The walls of the house: which room may import which, and what the pure rooms may not do. The README shows the same table. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { rules } from '../src/rules/table.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const source = join(root, 'src')

/**
 * Room -> rooms it may import, itself understood. Bytes enter at the top; a room knows only rooms above it. `stream/namespaces.ts`,
 * a list of names, is the one file of a later room that the stanza room may know.
 */
const pure: Readonly<Record<string, readonly string[]>> = {
  xml: [],
  stanza: ['xml', 'stream/namespaces'],
  stream: ['xml'],
  subscription: ['stanza'],
  rules: ['xml', 'stream', 'stanza', 'subscription'],
  routing: ['stanza'],
  session: ['xml', 'stream', 'stanza', 'subscription', 'rules', 'routing'],
}

/** What a pure room may take from outside: saxes in one file, and functions of Node that are pure themselves. */
const outside: Readonly<Record<string, readonly string[]>> = {
  'xml/reader.ts': ['saxes'],
  'xml/utf8.ts': ['node:buffer'],
  'stanza/jid.ts': ['node:url'],
}

const forbidden =
  /\bDate\b|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bconsole\b|\bprocess\.|\bawait\b|\basync\b|\bperformance\b/

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
const imports =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"\n;]|\n(?!import|export))*?from\s+['"]([^'"]+)['"]|(?:^|\n)\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g

function importsOf(text: string): string[] {
  return [...text.matchAll(imports)].map(match => (match[1] ?? match[2] ?? match[3]) as string)
}

t.test('the reader of imports sees every form', async t => {
  const seen = importsOf(
    `import 'a'\nimport { b } from 'b'\nimport {\n  c,\n} from "c"\nexport { d } from 'd'\nconst e = import('e')\n`,
  )
  t.same(seen, ['a', 'b', 'c', 'd', 'e'])
})

t.test('a pure room imports only rooms above it, and does nothing impure', async t => {
  const crossed: string[] = []
  for (const file of files) {
    const room = file.split('/')[0] as string
    const allowed = pure[room]
    if (allowed === undefined || !file.includes('/')) continue
    const text = readFileSync(join(source, file), 'utf8')
    for (const target of importsOf(text)) {
      if (!target.startsWith('.')) {
        if (!(outside[file] ?? []).includes(target)) crossed.push(`${file} imports ${target}`)
        continue
      }
      const path = relative(source, join(source, dirname(file), target)).replace(/\.ts$/, '')
      const isAllowed =
        path.startsWith(`${room}/`) || allowed.some(each => path === each || path.startsWith(`${each}/`))
      if (!isAllowed) crossed.push(`${file} imports ${path}`)
    }
    if (file.includes('/generated/')) continue
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\\n]|\\.)*'/g, '')
    const word = forbidden.exec(code)
    if (word !== null) crossed.push(`${file} says ${word[0]}`)
  }
  t.same(crossed, [])
})

t.test('every pure room is in the table', async t => {
  const impure = ['transport', 'observe', 'admin', 'config', 'store', 'doctor', 'explain', 'console']
  const rooms = new Set(files.filter(file => file.includes('/')).map(file => file.split('/')[0] as string))
  t.same(
    [...rooms].filter(room => !(room in pure) && !impure.includes(room)),
    [],
  )
})

/** The doctor is a client of the server's, not a part of the gate: it uses the gate's parts, and knows no session. */
const doctorsParts = ['config', 'xml', 'stream', 'stanza', 'transport', 'routing', 'rules/table']

t.test('the doctor uses only these parts, and nobody but the command line uses the doctor', async t => {
  const crossed: string[] = []
  for (const file of files) {
    for (const target of importsOf(readFileSync(join(source, file), 'utf8'))) {
      if (!target.startsWith('.')) continue
      const path = relative(source, join(source, dirname(file), target)).replace(/\.ts$/, '')
      const isDoctors = path.startsWith('doctor/')
      const isAllowed = file.startsWith('doctor/')
        ? isDoctors || doctorsParts.some(part => path === part || path.startsWith(`${part}/`))
        : !isDoctors || file === 'cli.ts'
      if (!isAllowed) crossed.push(`${file} imports ${path}`)
    }
  }
  t.same(crossed, [])
})

t.test('every rule: a file named as it is, a row in the table, in the README and in the tests', async t => {
  const parts = ['rule.ts', 'judge.ts', 'mode.ts', 'table.ts']
  const inFiles = files
    .filter(file => file.startsWith('rules/') && !parts.includes(file.slice(6)))
    .map(file => file.slice(6, -3))
  t.same(inFiles.toSorted(), rules.map(rule => rule.name).toSorted())
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const tests = readFileSync(join(root, 'test/rules/rules.test.ts'), 'utf8')
  for (const { name, clause } of rules) {
    t.ok(readme.includes(`| \`${name}\` | ${clause} |`), `${name} has its row in the README`)
    t.ok(
      tests.includes(name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())),
      `${name} has its table of tests`,
    )
  }
})

t.test('the README shows the walls as they are', async t => {
  const rows = Object.entries(pure).map(
    ([room, allowed]) => `| \`${room}\` | ${allowed.map(each => `\`${each}\``).join(' ') || '–'} |`,
  )
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const row of rows) t.ok(readme.includes(row), row)
})
