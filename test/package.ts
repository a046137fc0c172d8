/** The package as others get it: packed, and installed in a folder outside the repository. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const run = promisify(execFile)

export interface Packed {
  /** The path of the tarball. */
  readonly tarball: string
  /** Paths in the package. */
  readonly paths: readonly string[]
  /** Bytes. */
  readonly unpackedSize: number
}

/** Packs what was built, without building it again under the other tests. */
export async function pack(folder: string): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
  })
  const [{ filename, files, unpackedSize }] = JSON.parse(stdout)
  const paths = (files as readonly { readonly path: string }[]).map(({ path }) => path)
  return { tarball: join(folder, filename), paths, unpackedSize }
}

/** Installs the tarball. Its dependencies are those that are installed here, and no others: nothing is fetched. */
export async function install(tarball: string, folder: string): Promise<void> {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'stanzagate'), { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'stanzagate')])
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
}

/** Compiles TypeScript files of the folder, strictly; gives what the compiler has to say: nothing is good. */
export async function compile(folder: string, files: readonly string[]): Promise<string> {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    target: 'es2022',
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const tsc = join(root, 'node_modules/typescript/lib/tsc.js')
  return run(process.execPath, [tsc, '-p', folder]).then(
    () => '',
    ({ message, stdout }) => `${message}\n${stdout}`,
  )
}

/** The blocks of TypeScript in a document. */
export function programsIn(document: string): string[] {
  const text = readFileSync(join(root, document), 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
}
