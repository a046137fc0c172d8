import t from 'tap'
import { jidPattern, onlyJidOf } from '../../src/admin/jid-pattern.ts'

const fits: readonly (readonly [pattern: string, jids: readonly string[], others: readonly string[]])[] = [
  ['*', ['a@b', 'b', ''], []],
  ['**', ['a@b'], []],
  [
    '*@spam.example',
    ['a@spam.example', '@spam.example'],
    ['a@not-spam.example.org', 'spam.example', 'a@spam.example2'],
  ],
  ['bot*@SPAM.example', ['bot@spam.example', 'bot17@spam.example'], ['abot@spam.example', 'bot@ham.example']],
  ['a*a', ['aa', 'aba'], ['a', 'ab', 'ba']],
  ['*bot*1*@*', ['robot21@x', 'bot1@x'], ['1bot@x', 'bot1']],
  ['a.b*', ['a.b@c'], ['axb@c']],
  ['Romeo@IM.example/orchard', ['romeo@im.example'], ['romeo@im.example.org', 'romeo']],
  ['no jid@at all', [], ['no jid@at all']],
]

for (const [pattern, jids, others] of fits)
  t.test(pattern, async t => {
    const isOne = jidPattern(pattern)
    for (const jid of jids) t.equal(isOne(jid), true, jid)
    for (const jid of others) t.equal(isOne(jid), false, jid)
  })

t.test('which names one', async t => {
  t.equal(onlyJidOf('Romeo@IM.example/orchard'), 'romeo@im.example')
  for (const pattern of ['*', 'a*@b', 'a b@c', '']) t.equal(onlyJidOf(pattern), undefined, pattern)
})
