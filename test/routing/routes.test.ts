/** Which route serves a domain. */
import t from 'tap'
import { makeRoutes } from '../../src/routing/routes.ts'

const routeOf = makeRoutes(
  ['im.example', '*.im.example', '*.Deep.im.example', 'own.deep.im.example', 'b\u00fccher.example', '*'].map(
    domain => ({ domain }),
  ),
)
const without = makeRoutes([{ domain: '*.im.example' }])

for (const [domain, route] of [
  ['im.example', 'im.example'],
  ['IM.Example.', 'im.example'],
  ['a.im.example', '*.im.example'],
  ['b.a.im.example', '*.im.example'],
  ['deep.im.example', '*.im.example'],
  ['a.deep.im.example', '*.Deep.im.example'],
  ['own.deep.im.example', 'own.deep.im.example'],
  ['xn--bcher-kva.example', 'b\u00fccher.example'],
  ['notim.example', '*'],
  ['example', '*'],
] as const)
  t.equal(routeOf(domain)?.domain, route, domain)

for (const domain of ['im.example', 'example', 'im.example.org', 'aim.example', 'no domain'])
  t.equal(without(domain), undefined, domain)
t.equal(without('a.im.example')?.domain, '*.im.example')

const sharp = makeRoutes([{ domain: '*.stra\u00dfe.example' }])
for (const domain of ['x.stra\u00dfe.example', 'x.strasse.example', 'x.xn--strae-oqa.example', 'X.STRASSE.Example.'])
  t.equal(sharp(domain)?.domain, '*.stra\u00dfe.example', domain)
for (const domain of ['strasse.example', 'xstrasse.example']) t.equal(sharp(domain), undefined, domain)
