/** Serves the page's files, from this package and from lit-html's. */
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

const types = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const

/** Served by name under /console/, to everybody: they hold nothing about this gate. */
const files = [
  'console.css',
  'controls.css',
  'icon.svg',
  'theme.js',
  'app.js',
  'store.js',
  'server.js',
  'live.js',
  'format.js',
  'views/frame.js',
  'views/parts.js',
  'views/traffic.js',
  'views/side.js',
  'views/sessions.js',
  'views/account.js',
  'views/quarantine.js',
  'views/explain.js',
] as const
/** Parts of lit-html, which import each other by these paths. */
const libraryFiles = ['lit-html.js', 'directive.js', 'directive-helpers.js', 'directives/repeat.js'] as const

/** From dist/src/console, in the repository as in an installed package. */
const folder = new URL('../../../src/console/page/', import.meta.url)
/** Node itself would load the build for servers. */
const library = new URL(import.meta.resolve('lit-html').replace(/(?:node\/)?(?:development\/)?lit-html\.js$/, ''))

export function page(name: 'index.html' | 'login.html'): string {
  return readFileSync(new URL(name, folder), 'utf8')
}

export function serveAssets(app: FastifyInstance): void {
  const serve = (path: string, file: URL) => {
    const text = readFileSync(file, 'utf8')
    const type = types[file.pathname.split('.').at(-1) as keyof typeof types]
    app.get(`/console/${path}`, async (_request, reply) => reply.type(type).send(text))
  }
  for (const file of files) serve(file, new URL(file, folder))
  for (const file of libraryFiles) serve(`lit-html/${file}`, new URL(file, library))
}
