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

/** An element of an XML file, with its text and what stands in it. */
interface Node {
  /** `{namespace}local-name`. */
  readonly name: string
  /** The attribute `rdf:resource`. */
  readonly resource: string | undefined
  readonly children: Node[]
  text: string
}

function treeOf(xml: string): Node {
  const top: Node = { name: '', resource: undefined, children: [], text: '' }
  const open = [top]
  const parser = new SaxesParser({ xmlns: true })
  parser.on('error', error => {
    throw error
  })
  parser.on('opentag', ({ uri, local, attributes }) => {
    const node = { name: `{${uri}}${local}`, resource: attributes['rdf:resource']?.value, children: [], text: '' }
    open.at(-1)?.children.push(node)
    open.push(node)
  })
  parser.on('text', text => {
    for (const node of open.slice(-1)) node.text += text
  })
  parser.on('closetag', () => open.pop())
  parser.write(xml).close()
  return top
}

const rdf = '{http://www.w3.org/1999/02/22-rdf-syntax-ns#}'
const doap = '{http://usefulinc.com/ns/doap#}'
const xmpp = '{https://linkmauve.fr/ns/xmpp-doap#}'
const all = (node: Node | undefined, name: string) => node?.children.filter(child => child.name === name) ?? []
const one = (node: Node | undefined, name: string) => all(node, name)[0]

/** XEPs that the source names and the gate does nothing for. */
const onlyMentioned: ReadonlyMap<string, string> = new Map([
  ['0078', 'refused: there is SASL'],
  ['0321', 'a roster of another account is passed on and not read'],
])

t.test('stanzagate.doap describes the project as package.json does', async t => {
  const { homepage, bugs, repository, license } = JSON.parse(text('package.json'))
  const project = one(one(treeOf(text('stanzagate.doap')), `${rdf}RDF`), `${doap}Project`)
  for (const name of ['name', 'shortdesc', 'description', 'programming-language', 'os'])
    t.not(one(project, doap + name)?.text ?? '', '', name)
  t.equal(one(project, `${doap}homepage`)?.resource, homepage.replace(/#.*/, ''))
  t.equal(one(project, `${doap}bug-database`)?.resource, bugs.url)
  const git = one(one(project, `${doap}repository`), `${doap}GitRepository`)
  t.equal(`git+${one(git, `${doap}location`)?.resource}`, repository.url)
  t.match(one(project, `${doap}license`)?.resource, new RegExp(`/${license}$`))
  const rfcs = all(project, `${doap}implements`).flatMap(({ resource }) => /rfc(\d+)$/.exec(resource ?? '')?.[1] ?? [])
  t.same(rfcs, ['3921', '6120', '6121', '7395', '7590', '7622'])
})

t.test('stanzagate.doap has every XEP that the source names, and no other', async t => {
  const project = one(one(treeOf(text('stanzagate.doap')), `${rdf}RDF`), `${doap}Project`)
  const supported = all(project, `${doap}implements`).flatMap(each => all(each, `${xmpp}SupportedXep`))
  const numbers = supported.map(xep => {
    const url = one(xep, `${xmpp}xep`)?.resource ?? ''
    const number = /^https:\/\/xmpp\.org\/extensions\/xep-(\d{4})\.html$/.exec(url)?.[1] ?? ''
    const status = one(xep, `${xmpp}status`)?.text ?? ''
    t.match(status, /^(?:complete|partial)$/, `${url}: its status`)
    if (status === 'partial') t.not(one(xep, `${xmpp}note`)?.text ?? '', '', `${url}: what is done of it`)
    // A version that is not known is left out.
    t.match(one(xep, `${xmpp}version`)?.text ?? '0.0', /^\d+(?:\.\d+){1,2}$/, `${url}: its version`)
    return number
  })
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.ts'),
  )
  const used = new Set(
    sources.flatMap(file => [...text(`src/${file}`).matchAll(/XEP-(\d{4})/g)].map(([, number = '']) => number)),
  )
  t.same(numbers, [...used].filter(number => !onlyMentioned.has(number)).toSorted())
  for (const [number, reason] of onlyMentioned) t.ok(used.has(number), `XEP-${number} is only mentioned: ${reason}`)
})
