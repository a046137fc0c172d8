import { readFileSync } from 'node:fs'

interface Package {
  readonly version: string
}

/** The version of this package, read from its package.json, two folders above the compiled file. */
export const version = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Package)
  .version
