import t from 'tap'
import { StoreLog } from '../../src/observe/store-log.ts'

t.test('a line when the store fails, and one when it works again', t => {
  const lines: string[] = []
  const note = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message.split(':')[0]} ${JSON.stringify(fields)}`)
  }
  const log = new StoreLog({ error: note('error'), info: note('info'), warn: note('warn') } as never, 'the place')
  log.storeCalled('load', 0, false)
  t.same(lines.splice(0), [], 'nothing is said as long as it works')
  log.storeCalled('save', 0, true, new Error('disk full'))
  log.storeCalled('save', 0, true, new Error('disk full'))
  log.storeCalled('load', 0, true)
  t.same(lines.splice(0), ['error the store fails {"store":"the place","operation":"save","reason":"disk full"}'])
  log.storeCalled('save', 0, false)
  log.storeCalled('save', 0, false)
  t.same(lines.splice(0), ['info the store works again {"store":"the place","failed":2}'])
  log.storeCalled('load', 0, true, 'no error')
  log.storeGaveUp(3)
  t.same(lines.splice(0), [
    'error the store fails {"store":"the place","operation":"load","reason":"no error"}',
    'warn too many accounts wait for the store {"store":"the place","accounts":3}',
  ])
  for (const event of ['kept', 'lost', 'found', 'expired', 'unreadable'] as const) log.sessionsKept(event, 2)
  t.same(lines.splice(0), [
    'info sessions are kept for the next process {"store":"the place","sessions":2}',
    'warn the store fails {"store":"the place","sessions":2}',
  ])
  t.end()
})
