import t from 'tap'
import { claimsOf, credentialFault } from '../../src/session/authzid.ts'
import { element } from '../../src/xml/element.ts'

const sasl = 'urn:ietf:params:xml:ns:xmpp-sasl'
const sasl2 = 'urn:xmpp:sasl:2'
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** [mechanism, message, what is wrong with it] */
const rows: readonly (readonly [mechanism: string, message: string, fault: string | undefined])[] = [
  ['PLAIN', '\0romeo\0secret', undefined],
  ['PLAIN', 'romeo@im.example\0romeo\0secret', undefined],
  ['PLAIN', 'ROMEO@Im.Example\0romeo\0secret', undefined],
  ['PLAIN', 'romeo\0romeo@im.example\0secret', undefined],
  ['PLAIN', 'juliet@im.example\0romeo\0secret', 'invalid-authzid'],
  ['plain', 'juliet@im.example\0romeo\0secret', 'invalid-authzid'],
  ['PLAIN', 'romeo@other.example\0romeo\0secret', 'invalid-authzid'],
  // The own account with a resource, as old web clients write it.
  ['PLAIN', 'romeo@im.example/orchard\0romeo\0secret', undefined],
  ['PLAIN', 'romeo@im.example/\0romeo\0secret', undefined],
  ['PLAIN', 'romeo/orchard\0romeo\0secret', undefined],
  ['PLAIN', 'romeo@im.example/juliet@im.example\0romeo\0secret', undefined],
  ['PLAIN', 'juliet@im.example/romeo@im.example\0romeo\0secret', 'invalid-authzid'],
  ['PLAIN', '/romeo@im.example\0romeo\0secret', 'invalid-authzid'],
  ['PLAIN', '@im.example\0romeo\0secret', 'invalid-authzid'],
  ['PLAIN', 'romeo \0romeo\0secret', 'invalid-authzid'],
  ['SCRAM-SHA-1', 'n,a=romeo@im.example/orchard,n=romeo,r=x', undefined],
  ['DIGEST-MD5', 'username="romeo",response=y,authzid="romeo@im.example/"', undefined],
  // Names that the server may prepare so that they are one.
  ['PLAIN', 'stra\u00dfe@im.example\0strasse\0secret', undefined],
  ['PLAIN', 'stra\u00dfe@other.example\0strasse\0secret', 'invalid-authzid'],
  ['PLAIN', 'nonsense', undefined],
  ['X-OAUTH2', 'juliet\0romeo\0token', 'invalid-authzid'],
  ['SCRAM-SHA-1', 'n,,n=romeo,r=x', undefined],
  ['SCRAM-SHA-1', 'n,a=romeo@im.example,n=romeo,r=x', undefined],
  ['SCRAM-SHA-256-PLUS', 'p=tls-exporter,a=juliet,n=romeo,r=x', 'invalid-authzid'],
  ['SCRAM-SHA-1', 'y,a=,n=a=2Cb,r=x', undefined],
  ['SCRAM-SHA-1', 'c=biws,r=x,p=y', undefined],
  ['DIGEST-MD5', 'username="romeo",realm="im.example",nonce="x",response=y', undefined],
  ['DIGEST-MD5', 'username="romeo",response=y,authzid="romeo@im.example"', undefined],
  ['DIGEST-MD5', 'username="romeo",response=y,authzid="juliet@im.example"', 'invalid-authzid'],
  ['DIGEST-MD5', 'authzid=juliet,username="romeo"', 'invalid-authzid'],
  ['DIGEST-MD5', 'username="romeo",cnonce="x,authzid=romeo,y",authzid="juliet"', 'invalid-authzid'],
  ['DIGEST-MD5', 'username="romeo",authzid="romeo",authzid="juliet"', 'invalid-authzid'],
  ['DIGEST-MD5', 'username="romeo",cnonce="a\\"b",AUTHZID="juliet"', 'invalid-authzid'],
  ['DIGEST-MD5', 'username="romeo" authzid="juliet"', 'invalid-authzid'],
  [
    'DIGEST-MD5',
    'username="romeo",realm="im.example",nonce="x",cnonce="y",nc=00000001,qop=auth,digest-uri="xmpp/im.example",response=00ff,charset=utf-8',
    undefined,
  ],
]

t.test('whom credentials want to act for', async t => {
  for (const [mechanism, message, fault] of rows) {
    const text = base64(message)
    const first = element('auth', sasl, { mechanism }, [text])
    const read = claimsOf(first)
    if (read === undefined) throw new Error(`${mechanism} is not read`)
    const name = `${mechanism} ${JSON.stringify(message)}`
    t.equal(credentialFault(first, read, 'im.example'), fault, name)
    t.equal(credentialFault(element('response', sasl, {}, [text]), read, 'im.example'), fault, `${name}, as a response`)
    const whole = element('authenticate', sasl2, { mechanism }, [element('initial-response', sasl2, {}, [text])])
    t.equal(credentialFault(whole, read, 'im.example'), fault, `${name}, SASL2`)
  }
})

t.test('what is not base64 is read differently by different servers', async t => {
  const encodings: readonly (readonly [text: string, fault: string | undefined])[] = [
    ['', undefined],
    ['=', undefined],
    [`${base64('\0romeo\0secret').slice(0, 8)}\n  ${base64('\0romeo\0secret').slice(8)}\n`, undefined],
    ['AHJvbWVvAHNlY3JldA', 'incorrect-encoding'],
    ['AHJvbWVv!AHNlY3JldA==', 'incorrect-encoding'],
    ['=AHJvbWVvAHNlY3JldA=', 'incorrect-encoding'],
    ['AHJvbWVvAHNlY3JldB==', 'incorrect-encoding'],
  ]
  for (const [text, fault] of encodings) {
    const request = element('auth', sasl, { mechanism: 'PLAIN' }, [text])
    const read = claimsOf(request)
    t.equal(read && credentialFault(request, read, 'im.example'), fault, JSON.stringify(text))
  }
  t.equal(claimsOf(element('auth', sasl, { mechanism: 'EXTERNAL' })), undefined)
})
