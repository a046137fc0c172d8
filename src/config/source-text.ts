/** Reads a configuration file: bytes, text, YAML (JSON is a part of YAML), and its parts with their places. */
import { isUtf8 } from 'node:buffer'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Document, type ErrorCode, isScalar, Lexer, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml'
import { type Environment, valuesOf } from './environment-variables.ts'
import { Source } from './source.ts'

/** Message and remedy of a problem whose place is known elsewhere. */
export type Flaw = readonly [message: string, remedy: string]

/** Limits for files that people write. The YAML parser is recursive, and a stack overflow inside it may end the process. */
const maxBytes = 1_048_576
const maxDepth = 64

/** Reads the file. It throws nothing: everything that is wrong is reported in the source. */
export function readSource(file: string, environment: Environment): Source {
  const lines = new LineCounter()
  const source = new Source(file, lines)
  const text = textOf(file)
  if (typeof text === 'string') parse(text, lines, source, environment)
  else source.report('', ...text)
  return source
}

/** The same of what a program has given in the place of a file. Texts that are `${NAME}` stand for variables there too. */
export function objectSource(value: unknown, environment: Environment): Source {
  const source = new Source('options', undefined)
  // An object that is used twice becomes an alias; one that contains itself is reported.
  const root = new Document(value, { schema: 'core', keepUndefined: false }).contents
  if (root === null || (isScalar(root) && root.value === null))
    source.report('', 'is empty', 'give upstreams and routes')
  else valuesOf(root as Node, source, environment)
  return source
}

/** Why a file could not be opened or read. */
export function fileFlaw(error: unknown): Flaw {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  return fileFlaws.get(code) ?? [`cannot be read (${code})`, 'name a readable file']
}

const fileFlaws = new Map<string, Flaw>([
  ['ENOENT', ['does not exist', 'correct the path']],
  ['ENOTDIR', ['does not exist', 'correct the path']],
  ['EACCES', ['may not be read by this user', 'correct its permissions']],
  ['EISDIR', ['is a folder', 'name a file']],
])

/** Why nothing could be appended to a file, which need not be there yet. */
export function appendFlaw(file: string): Flaw | undefined {
  const folder = dirname(file)
  let what = 'its folder'
  try {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
      return ['has no folder to be in', 'make it, or correct the path']
    const found = statSync(file, { throwIfNoEntry: false })
    if (found?.isDirectory()) return ['is a folder', 'name a file in it']
    // A pipe without a reader takes little, and a socket nothing.
    if (found !== undefined && !found.isFile() && !found.isCharacterDevice()) return ['is no file', 'name a file']
    if (found !== undefined) what = 'it'
    accessSync(found === undefined ? folder : file, constants.W_OK)
    return undefined
  } catch {
    return ['may not be written by this user', `let the user that the gate runs as write to ${what}`]
  }
}

function textOf(file: string): string | Flaw {
  try {
    if (statSync(file).isDirectory()) return ['is a folder', 'name the configuration file in it']
    const bytes = readFileSync(file)
    if (bytes.length > maxBytes) return [`has more than ${maxBytes} bytes`, 'name a configuration file']
    return isUtf8(bytes) ? bytes.toString('utf8') : ['is not UTF-8', 'save it in that encoding']
  } catch (error) {
    return fileFlaw(error)
  }
}

function parse(text: string, lines: LineCounter, source: Source, environment: Environment): void {
  if (isTooDeep(text)) {
    source.report('', `is nested more than ${maxDepth} deep`, 'close the brackets, or write it flatter')
    return
  }
  const document = parseDocument(text, {
    lineCounter: lines,
    // The library's message would quote the line, with secrets in it.
    prettyErrors: false,
    // A %YAML 1.1 line must not turn an unquoted off into false.
    schema: 'core',
    resolveKnownTags: false,
    stringKeys: true,
    // Found later, where the key's whole name is known.
    uniqueKeys: false,
  })
  const flaws = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  let line = 0
  for (const flaw of flaws) {
    // Another error on the same line is most often a consequence of the first.
    if (source.lineOf(flaw.pos[0]) === line) continue
    line = source.lineOf(flaw.pos[0])
    source.reportAt(
      flaw.pos[0],
      '',
      ...syntaxFlaw(flaw, text.slice(lines.lineStarts[line - 1], lines.lineStarts[line])),
    )
  }
  if (flaws.length > 0) return
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) {
    source.report('', 'is empty', 'start from stanzagate.example.yaml')
  } else valuesOf(root, source, environment)
}

/** Counts brackets, and the dashes of one line, before anything recursive runs. The file's size limits the indentation. */
function isTooDeep(text: string): boolean {
  let brackets = 0
  let dashes = 0
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === '[' || lexeme === '{') brackets += 1
    else if (lexeme === ']' || lexeme === '}') brackets -= 1
    else if (lexeme === '-' || lexeme === '?') dashes += 1
    else if (lexeme === '\n' || lexeme === '\r\n') dashes = 0
    if (brackets + dashes > maxDepth) return true
  }
  return false
}

/** Our own message: the library's may quote the file. */
function syntaxFlaw(error: YAMLError, line: string): Flaw {
  const isVariable = line.includes('${') && line.indexOf('{') < line.lastIndexOf('${')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how the file spells it
  if (isVariable) return ['is not YAML', "write '${NAME}' in quotes where there are brackets around it"]
  return syntaxFlaws[error.code] ?? ['is not YAML', 'see this line and the one before it']
}

const syntaxFlaws: Partial<Record<ErrorCode, Flaw>> = {
  BAD_DQ_ESCAPE: ['has a backslash that means nothing', 'write the text in single quotes, or the backslash twice'],
  BAD_INDENT: ['is indented wrongly, or a bracket is open', 'line it up with its neighbours, or close the bracket'],
  BAD_SCALAR_START: ['starts with a sign that YAML keeps for itself', 'write the text in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    "has a second ': ', or the next line is indented wrongly",
    'write the text in quotes, or line it up',
  ],
  BLOCK_IN_FLOW: ['has a block between brackets', 'write it in brackets as well, or in quotes if it is a text'],
  MISSING_CHAR: ["lacks ': ', a comma, a quote or a bracket", "write 'key: value', and close what is open"],
  MULTILINE_IMPLICIT_KEY: ["lacks ': ' behind the key, or is indented wrongly", "write 'key: value', and line it up"],
  MULTIPLE_DOCS: ['starts a second document', "remove the '---'"],
  NON_STRING_KEY: ['has a key that is no text', 'write a word as the key'],
  RESOURCE_EXHAUSTION: ['is nested too deep', 'write it flatter'],
  TAB_AS_INDENT: ['is indented with a tab', 'indent with spaces'],
  TAG_RESOLVE_FAILED: ['has a tag', "remove the word that starts with '!'"],
  UNEXPECTED_TOKEN: ['has something that does not belong there', 'write the text in quotes, or see the brackets'],
}
