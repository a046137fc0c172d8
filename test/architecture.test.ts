/** The structure of `src/`: which folder may import which, that nothing imports in a circle, and what the pure folders may not do. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { rules } from '../src/rules/all-rules.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const source = join(root, 'src')

/**
 * Pure folders: the same input always gives the same output. Folder -> folders and single files that it may import besides itself.
 * ARCHITECTURE.md shows the same table. `stream/namespaces`, a list of names, is the one file of a later folder that `stanza` imports.
 */
const pure: Readonly<Record<string, readonly string[]>> = {
  xml: [],
  stanza: ['xml', 'stream/namespaces'],
  stream: ['xml'],
  subscription: ['stanza'],
  rules: ['xml', 'stream', 'stanza'],
  routing: ['stanza'],
  account: ['xml', 'stream', 'stanza', 'subscription', 'rules'],
  session: ['xml', 'stream', 'stanza', 'subscription', 'rules', 'account'],
}

/** Folders that do I/O, have a clock or a logger; the same way. */
const impure: Readonly<Record<string, readonly string[]>> = {
  transport: ['stream'],
  config: ['xml', 'stream', 'stanza', 'rules', 'routing', 'transport'],
  listener: ['xml', 'stream', 'transport', 'config'],
  upstream: ['stanza', 'session/labels', 'transport', 'config'],
  store: ['stanza', 'account', 'session/session-keeper', 'transport', 'config'],
  relay: ['stream', 'stanza', 'account', 'session', 'transport', 'config', 'listener/labels', 'upstream'],
  observe: [
    'stream',
    'stanza',
    'subscription',
    'rules',
    'account',
    'session',
    'transport',
    'config',
    'listener',
    'relay',
    'store',
    'upstream',
    'version',
  ],
  explain: ['xml', 'stream', 'stanza', 'subscription', 'rules', 'account', 'session', 'config', 'observe'],
  doctor: ['xml', 'stream', 'stanza', 'rules/all-rules', 'routing', 'transport', 'config', 'upstream'],
  admin: ['stanza', 'config', 'observe'],
  console: [
    'xml',
    'stream',
    'stanza',
    'rules',
    'account',
    'session',
    'config',
    'relay',
    'observe',
    'explain',
    'upstream',
    'admin',
    'gate',
    'version',
  ],
}

const folders = { ...pure, ...impure }

/** What a pure folder may take from outside: saxes in two files, and functions of Node that are pure themselves. */
const outside: Readonly<Record<string, readonly string[]>> = {
  'xml/event-parser.ts': ['saxes'],
  'xml/reader.ts': ['saxes'],
  'xml/utf8.ts': ['node:buffer'],
  'stanza/jid.ts': ['node:url'],
  'account/invitation-tokens.ts': ['node:crypto'],
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

function targetOf(file: string, target: string): string {
  return relative(source, join(source, dirname(file), target))
}

t.test('a folder imports only the folders of its row', async t => {
  const crossed: string[] = []
  for (const file of files) {
    const folder = file.split('/')[0] as string
    const allowed = folders[folder]
    if (allowed === undefined || !file.includes('/')) continue
    for (const target of importsOf(readFileSync(join(source, file), 'utf8'))) {
      if (!target.startsWith('.')) {
        if (folder in pure && !(outside[file] ?? []).includes(target)) crossed.push(`${file} imports ${target}`)
        continue
      }
      const path = targetOf(file, target).replace(/\.ts$/, '')
      const isAllowed =
        path.startsWith(`${folder}/`) || allowed.some(each => path === each || path.startsWith(`${each}/`))
      if (!isAllowed) crossed.push(`${file} imports ${path}`)
    }
  }
  t.same(crossed, [])
})

t.test('a row names no folder that it does not need', async t => {
  const unused: string[] = []
  for (const [folder, allowed] of Object.entries(folders)) {
    const used = files
      .filter(file => file.startsWith(`${folder}/`))
      .flatMap(file =>
        importsOf(readFileSync(join(source, file), 'utf8'))
          .filter(target => target.startsWith('.'))
          .map(target => targetOf(file, target).replace(/\.ts$/, '')),
      )
    for (const each of allowed)
      if (!used.some(path => path === each || path.startsWith(`${each}/`)))
        unused.push(`${folder} does not import ${each}`)
  }
  t.same(unused, [])
})

t.test('a pure folder has no clock, no chance, no waiting and no output', async t => {
  const impurities: string[] = []
  for (const file of files) {
    if (!((file.split('/')[0] as string) in pure) || file.includes('/generated/')) continue
    const text = readFileSync(join(source, file), 'utf8')
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\\n]|\\.)*'/g, '')
    const word = forbidden.exec(code)
    if (word !== null) impurities.push(`${file} says ${word[0]}`)
  }
  t.same(impurities, [])
})

t.test('every folder is in one of the tables', async t => {
  const found = new Set(files.filter(file => file.includes('/')).map(file => file.split('/')[0] as string))
  t.same([...found].toSorted(), Object.keys(folders).toSorted())
})

/** Groups of nodes that reach each other, by Tarjan's algorithm; groups of one left out. */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const visit = (node: string): number => {
    order.set(node, order.size)
    let low = order.get(node) as number
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next))
      else if (stack.includes(next)) low = Math.min(low, order.get(next) as number)
    }
    lowest.set(node, low)
    if (low === order.get(node)) {
      const group = stack.splice(stack.indexOf(node))
      if (group.length > 1) circles.push(group.toSorted())
    }
    return low
  }
  for (const node of graph.keys()) if (!order.has(node)) visit(node)
  return circles
}

t.test('circles are found', async t => {
  const graph = (edges: string) =>
    new Map(edges.split(' ').map(edge => [edge[0] as string, [...edge.slice(2)]] as const))
  const rows: readonly (readonly [edges: string, circles: string[][]])[] = [
    ['a>b b>c c>', []],
    ['a>b b>a', [['a', 'b']]],
    ['a>b b>c c>a d>a', [['a', 'b', 'c']]],
    [
      'a>b b>a c>d d>c',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['a>bc b>d c>d d>', []],
  ]
  for (const [edges, circles] of rows) t.same(circlesOf(graph(edges)), circles, edges)
})

t.test('no files import each other in a circle, be it for types alone; nor do folders', async t => {
  const ofFiles = new Map<string, string[]>()
  const ofFolders = new Map<string, string[]>()
  for (const file of files) {
    const targets = importsOf(readFileSync(join(source, file), 'utf8'))
      .filter(target => target.startsWith('.'))
      .map(target => targetOf(file, target))
    ofFiles.set(file, targets)
    const folder = dirname(file)
    const others = targets.filter(target => dirname(target) !== folder && !exempt.has(target)).map(dirname)
    ofFolders.set(folder, [...(ofFolders.get(folder) ?? []), ...others])
  }
  t.same(circlesOf(ofFiles), [])
  // The top of `src/` puts the folders together, and the console shows the gate as a whole.
  ofFolders.delete('.')
  t.same(circlesOf(ofFolders), [])
})

/** A list of names and nothing else. */
const exempt: ReadonlySet<string> = new Set(['stream/namespaces.ts', 'listener/labels.ts'])

t.test('every rule: a file named as it is, a row in the table, in docs/rules.md and in the tests', async t => {
  const parts = ['rule.ts', 'judge.ts', 'mode.ts', 'outcome.ts', 'rules-by-scope.ts', 'all-rules.ts']
  const inFiles = files
    .filter(file => file.startsWith('rules/') && !parts.includes(file.slice(6)))
    .map(file => file.slice(6, -3))
  t.same(inFiles.toSorted(), rules.map(rule => rule.name).toSorted())
  const page = readFileSync(join(root, 'docs/rules.md'), 'utf8')
  const tests = readFileSync(join(root, 'test/rules/rules.test.ts'), 'utf8')
  for (const { name, clause } of rules) {
    t.ok(page.includes(`| \`${name}\` | ${clause} |`), `${name} has its row in docs/rules.md`)
    t.ok(
      tests.includes(name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())),
      `${name} has its table of tests`,
    )
  }
})

t.test('only the command line uses the doctor', async t => {
  const users = files.filter(
    file =>
      !file.startsWith('doctor/') &&
      importsOf(readFileSync(join(source, file), 'utf8')).some(target => targetOf(file, target).startsWith('doctor/')),
  )
  t.same(users, ['cli.ts'])
})

t.test('ARCHITECTURE.md shows the tables as they are', async t => {
  const rows = Object.entries(folders).map(
    ([folder, allowed]) => `| \`${folder}\` | ${allowed.map(each => `\`${each}\``).join(' ') || '–'} |`,
  )
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  for (const row of rows) t.ok(text.includes(row), row)
})
