/** What V8 makes of the parser: its fields must not be kept in a dictionary, or reading takes three times as long. */
import { execFileSync } from 'node:child_process'
import t from 'tap'

const reader = new URL('../../src/xml/reader.js', import.meta.url).href
const script = `
  const { XmlReader } = await import(${JSON.stringify(reader)})
  const limits = { bytes: 262144, elements: 1000, depth: 100, attributes: 100, nameLength: 256, startTag: 10000 }
  const reader = new XmlReader({ level: 1, limits })
  const said = []
  const look = () => said.push(%HasFastProperties(reader.parser) && %HasFastProperties(reader))
  look()
  const texts = ["<s xmlns='a' xmlns:b='c'>", "<m to='x' b:y='z'><d>e &amp; f&#x41;</d><g/><![CDATA[h]]></m>", '<m>cut &am', 'p; off</m>']
  for (const text of texts) {
    reader.push(Buffer.from(text))
    while (reader.next() !== undefined);
    look()
  }
  console.log(JSON.stringify(said))
`

t.test('the parser and the reader have fast properties, before and while they read', async t => {
  const args = ['--allow-natives-syntax', '--input-type=module', '-e', script]
  t.same(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })), [true, true, true, true, true])
})

t.test('the check sees a dictionary', async t => {
  const saxes = import.meta.resolve('saxes')
  const many = `
    const { SaxesParser } = (await import(${JSON.stringify(saxes)})).default
    const parser = new SaxesParser({ xmlns: true })
    for (const event of ['error', 'comment', 'processinginstruction', 'doctype', 'xmldecl', 'opentagstart', 'attribute', 'opentag'])
      parser.on(event, () => {})
    console.log(%HasFastProperties(parser))
  `
  const args = ['--allow-natives-syntax', '--input-type=module', '-e', many]
  t.equal(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim(), 'false')
})
