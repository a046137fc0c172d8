import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import t from 'tap'
import { ajvOptions, derived, root } from '../../schemas/build.ts'
import { type Json, type JsonObject, merged } from '../../schemas/derive.ts'
import { Xsd } from '../../schemas/xsd.ts'
import * as types from '../../src/stanza/generated/types.ts'
import { parse, shapeOf } from './oracle.ts'

const files = derived()

t.test('what is checked in is what the XSDs give', t => {
  for (const [file, text] of files)
    t.ok(readFileSync(join(root, file), 'utf8') === text, `${file} is up to date (npm run schemas)`)
  for (const folder of ['schemas/generated', 'src/stanza/generated'])
    for (const file of readdirSync(join(root, folder)))
      t.ok(files.has(`${folder}/${file}`), `${folder}/${file} is derived`)
  t.same([...derived()], [...files], 'twice the same')
  t.end()
})

t.test('the unions are the sets of the RFCs', t => {
  t.same(types.presenceTypes, [
    'error',
    'probe',
    'subscribe',
    'subscribed',
    'unavailable',
    'unsubscribe',
    'unsubscribed',
  ])
  t.same(types.shows, ['away', 'chat', 'dnd', 'xa'])
  t.same(types.messageTypes, ['chat', 'error', 'groupchat', 'headline', 'normal'])
  t.same(types.iqTypes, ['error', 'get', 'result', 'set'])
  t.same(types.rosterSubscriptions, ['both', 'from', 'none', 'remove', 'to'])
  t.same(types.rosterAsks, ['subscribe'])
  t.same(types.stanzaErrorTypes, ['auth', 'cancel', 'continue', 'modify', 'wait'])
  t.equal(types.definedConditions.length, 22)
  t.end()
})

t.test('attributes and children that the schemas know', t => {
  const folder = join(root, 'schemas')
  for (const [file, use] of [
    ['jabber-client.xsd', false],
    ['jabber-server.xsd', true],
  ] as const) {
    const xsd = new Xsd(folder, file)
    for (const kind of ['presence', 'message', 'iq']) {
      const stanza = xsd.declaration(kind)
      const required = stanza.attributes.filter(attribute => attribute.required).map(attribute => attribute.name)
      const addresses = use ? ['from', 'to'] : []
      t.same(required, kind === 'iq' ? [...addresses, 'id', 'type'] : addresses, `${file}: ${kind} must have`)
      t.same(names(stanza.attributes), ['from', 'to', 'xml:lang', 'id', 'type'], `${file}: ${kind} may have`)
    }
    const of = (kind: string) =>
      [...xsd.declaration(kind).children].map(([name, { min, max }]) => `${name} ${min}-${max}`)
    t.same(of('presence'), [
      'show 0-Infinity',
      'status 0-Infinity',
      'priority 0-Infinity',
      'any 0-Infinity',
      'error 0-1',
    ])
    t.same(of('message'), ['subject 0-Infinity', 'body 0-Infinity', 'thread 0-Infinity', 'any 0-Infinity', 'error 0-1'])
    t.same(of('iq'), ['any 0-1', 'error 0-1'])
    t.same(of('error'), ['text 0-Infinity', 'any 0-Infinity', 'condition 1-1'])
  }
  t.throws(() => new Xsd(folder, 'jabber-client.xsd').declaration('show-me'), /no element show-me/)
  t.throws(() => new Xsd(folder, '../package.json'), /package.json/, 'what is no schema is refused')
  t.end()
})

t.test('merging adds to objects and replaces the rest', t => {
  t.same(merged({ a: { b: 1, c: [1, 2] }, d: 1 }, { a: { c: [3] }, d: { e: 1 } }), { a: { b: 1, c: [3] }, d: { e: 1 } })
  t.end()
})

t.test('messages and IQs', t => {
  const error = "<error type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
  const cases: [string, string | undefined][] = [
    ['<message/>', undefined],
    [
      "<message type='groupchat'><body>a</body><body xml:lang='de'>b</body><x xmlns='urn:x'/><thread>t</thread></message>",
      undefined,
    ],
    ["<message type='shout'/>", '#/properties/type/enum'],
    ['<message><thread>a</thread><thread>b</thread></message>', '#/properties/thread/maxItems'],
    ['<message><body><b/></body></message>', '#/properties/body/items/properties/others/maxItems'],
    ["<message><body dir='rtl'>a</body></message>", '#/properties/body/items/properties/attributes/items/enum'],
    [`<message type='error'>${error}<body>a</body></message>`, undefined],
    [`<message>${error}</message>`, '#/else/properties/error/maxItems'],
    ["<iq type='get' id='1'><q xmlns='urn:x'/></iq>", undefined],
    ["<iq type='result' id=''/>", undefined],
    [`<iq type='error' id='1'><q xmlns='urn:x'/>${error}</iq>`, undefined],
    ["<iq type='error' id='1'/>", '#/then/properties/error/minItems'],
    ["<iq type='get'><q xmlns='urn:x'/></iq>", '#/required'],
    ["<iq id='1'><q xmlns='urn:x'/></iq>", '#/required'],
    ["<iq type='subscribe' id='1'><q xmlns='urn:x'/></iq>", '#/properties/type/enum'],
    ["<iq type='set' id='1'/>", '#/allOf/0/then/properties/others/minItems'],
    ["<iq type='set' id='1'><q xmlns='urn:x'/><q xmlns='urn:y'/></iq>", '#/properties/others/maxItems'],
    ["<iq type='result' id='1'><q xmlns='urn:x'/><q xmlns='urn:y'/></iq>", '#/properties/others/maxItems'],
    ["<iq type='set' id='1'><q xmlns='jabber:server'/></iq>", '#/properties/others/items/not'],
  ]
  const schemas = new Map(['message', 'iq'].map(name => [name, schemaFile(name)]))
  for (const [xml, place] of cases) {
    const element = parse(xml.replace(/^<\w+/, "$& xmlns='jabber:client'"))
    const schema = schemas.get(element.name) as JsonObject
    const validate = new Ajv(ajvOptions).compile(schema)
    const valid = validate(shapeOf(element, schema))
    t.equal(valid ? undefined : validate.errors?.[0]?.schemaPath, place, xml)
  }
  t.end()
})

function names(things: readonly { readonly name: string }[]): string[] {
  return things.map(thing => thing.name)
}

function schemaFile(name: string): JsonObject {
  const schema: Json = JSON.parse(files.get(`schemas/generated/${name}.schema.json`) ?? '')
  return schema as JsonObject
}
