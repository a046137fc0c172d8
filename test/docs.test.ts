/** The documents: the README is short, every link leads somewhere, and every command that they name exists. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SaxesParser } from 'saxes'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  file => file.endsWith('.md') && !/(?:^|\/)(?:node_modules|dist|\.[^/]+)\//.test(file),
)

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** The text without blocks of code, in which brackets are no links. */
function prose(file: string): string {
  return text(file)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '')
}

/** The name of a heading in links, as GitHub makes it. */
function fragmentOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/ /g, '-')
}

function fragments(file: string): Set<string> {
  const headings = text(file)
    .replace(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#+ (.*)$/gm)
  return new Set([...headings].map(([, heading = '']) => fragmentOf(heading.trim())))
}

t.test('names of headings', async t => {
  t.equal(fragmentOf('From observe to repair to enforce'), 'from-observe-to-repair-to-enforce')
  t.equal(fragmentOf('`rules`'), 'rules')
})

t.test('the README is one that is read', async t => {
  const lines = text('README.md').split('\n').length
  t.ok(lines < 200, `${lines} lines`)
})

t.test('every link leads to a file, and to a heading of it', async t => {
  const dead: string[] = []
  for (const page of pages) {
    for (const [, target = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', fragment] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, file))) dead.push(`${page}: ${target}`)
      else if (fragment !== undefined && statSync(join(root, file)).isFile() && !fragments(file).has(fragment))
        dead.push(`${page}: ${target}: there is no such heading`)
    }
  }
  t.ok(pages.length > 10)
  t.same(dead, [])
})

t.test('every page of docs/ is reached from the README', async t => {
  const readme = text('README.md')
  const unreached = pages.filter(page => page.startsWith('docs/') && !readme.includes(`(${page}`))
  t.same(unreached, [])
})

t.test('every npm script and every stanzagate command that a page names exists', async t => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> }
  const cli = text('src/cli.ts')
  const unknown: string[] = []
  for (const page of pages) {
    if (page === 'CHANGELOG.md') continue
    for (const [, script = ''] of text(page).matchAll(/npm run (?:-s )?([\w-]+)/g))
      if (!(script in scripts)) unknown.push(`${page}: npm run ${script}`)
    for (const [, command = ''] of text(page).matchAll(/`stanzagate ([a-z]+)/g))
      if (!new RegExp(`\\b${command}\\b`).test(cli)) unknown.push(`${page}: stanzagate ${command}`)
  }
  t.same(unknown, [])
})

t.test('stanzagate.doap is XML, and names every extension that the source names', async t => {
  const parser = new SaxesParser({ xmlns: true })
  const roots: string[] = []
  parser.on('error', error => t.fail(error.message))
  parser.on('opentag', ({ uri, local }) => roots.push(`{${uri}}${local}`))
  parser.write(text('stanzagate.doap')).close()
  t.same(roots.slice(0, 2), [
    '{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF',
    '{http://usefulinc.com/ns/doap#}Project',
  ])
  const named = new Set([...text('stanzagate.doap').matchAll(/xep-(\d{4})\.html/g)].map(([, number]) => number))
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.ts'),
  )
  const used = new Set(
    sources.flatMap(file => [...text(`src/${file}`).matchAll(/XEP-(\d{4})/g)].map(([, number]) => number)),
  )
  const onlyMentioned = new Map([
    ['0078', 'refused: there is SASL'],
    ['0321', 'a roster of another account is passed on and not read'],
  ])
  for (const number of used) t.ok(named.has(number) !== onlyMentioned.has(number ?? ''), `XEP-${number}`)
  for (const number of named) t.ok(used.has(number), `XEP-${number} is in the source`)
})
