/**
 * RFC 6121 appendix A and RFC 3921 section 9, cell by cell. A row of states.json: RFC, direction, type, state, whether the server routes
 * or delivers it (`no`: neither), the new state, what the server answers by itself, what a roster shows before and after, and what
 * pre-approval (RFC 6121 section 3.4, which `next` leaves aside) adds: `sets` or `clears` it, or `answers` in the user's name.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { rules } from '../../src/rules/all-rules.ts'
import { subscriptionTypes } from '../../src/stanza/stanza.ts'
import { cellOf } from '../../src/subscription/cell.ts'
import {
  type Direction,
  isSeenByContact,
  next,
  type Subscription,
  seesContact,
  visible,
  visibleSteps,
} from '../../src/subscription/state.ts'

const states: Readonly<Record<string, Subscription>> = {
  None: { to: 'none', from: 'none' },
  'None+PendingOut': { to: 'pending', from: 'none' },
  'None+PendingIn': { to: 'none', from: 'pending' },
  'None+PendingOut/In': { to: 'pending', from: 'pending' },
  To: { to: 'active', from: 'none' },
  'To+PendingIn': { to: 'active', from: 'pending' },
  From: { to: 'none', from: 'active' },
  'From+PendingOut': { to: 'pending', from: 'active' },
  Both: { to: 'active', from: 'active' },
}
const directions: readonly Direction[] = ['outbound', 'inbound']
const types: readonly string[] = subscriptionTypes

/** From dist/test/subscription to the sources. */
const file = new URL('../../../test/subscription/states.json', import.meta.url)
const rows = (JSON.parse(readFileSync(file, 'utf8')) as readonly string[]).map(row => row.split(' '))

function shown(state: Subscription): string {
  const { subscription, ask } = visible(state)
  return ask ? `${subscription}+ask` : subscription
}

t.test('144 cells', t => {
  t.equal(rows.length, 144)
  for (const [rfc, direction, type, from, passes, to, autoReply, before, after] of rows as [string, ...string[]][]) {
    const name = `RFC ${rfc}: ${direction} ${type} in ${from}`
    const state = states[from as string] as Subscription
    const step = next(state, direction as Direction, subscriptionTypes[types.indexOf(type as string)] ?? 'subscribe')
    t.strictSame(step.state, states[to as string], `${name}: the new state`)
    t.equal(step.passes, passes !== 'no', `${name}: ${direction === 'outbound' ? 'routed' : 'delivered'}`)
    t.equal(step.autoReply ?? 'no', autoReply, `${name}: the server's answer`)
    t.equal(shown(state), before, `${name}: the roster before`)
    t.equal(shown(step.state), after, `${name}: the roster after`)
  }
  t.end()
})

/** RFC 6121 appendix, RFC 3921 table (`-`: not printed). */
const places: Readonly<Record<string, string>> = {
  'outbound subscribe': 'A.2.1 -',
  'outbound unsubscribe': 'A.2.2 -',
  'outbound subscribed': 'A.2.3 1',
  'outbound unsubscribed': 'A.2.4 2',
  'inbound subscribe': 'A.3.1 3',
  'inbound unsubscribe': 'A.3.2 4',
  'inbound subscribed': 'A.3.3 5',
  'inbound unsubscribed': 'A.3.4 6',
}

t.test('144 cells with their places, with and without pre-approval', t => {
  const ruleNames: readonly string[] = rules.map(rule => rule.name)
  for (const row of rows as [string, ...string[]][]) {
    const [rfc, direction, kind, from, passes, to, autoReply, , , note] = row
    const name = `RFC ${rfc}: ${direction} ${kind} in ${from}`
    const state = states[from as string] as Subscription
    const type = subscriptionTypes[types.indexOf(kind as string)] ?? 'subscribe'
    for (const offered of [false, true]) {
      for (const approved of [false, true]) {
        // RFC 3921 knows no pre-approval: its rows are those of a server that does not offer it.
        if (offered && rfc === '3921') continue
        const cell = cellOf(state, direction as Direction, type, { offered, approved })
        const answers = offered && approved && note === 'answers'
        const after = { ...(states[to as string] as Subscription), ...(answers && { from: 'active' }) }
        const flag = offered && ((approved && note !== 'clears') || note === 'sets')
        const when = `${name}, offered ${offered}, approved ${approved}`
        t.strictSame(cell.state, after, `${when}: the new state`)
        t.equal(cell.passes, passes !== 'no' && !answers, `${when}: passes`)
        t.equal(cell.autoReply ?? 'no', answers ? 'subscribed' : autoReply, `${when}: the server's answer`)
        t.equal(cell.approved, flag, `${when}: pre-approved afterwards`)
        t.equal(`${cell.clause} ${cell.table3921 ?? '-'}`, `RFC 6121 appendix ${places[`${direction} ${kind}`]}`, when)
        t.equal(
          cell.name,
          (from as string).replace('+PendingOut/In', '+PendingOut+In').replace('+Pending', ' + Pending '),
          when,
        )
        if (cell.rule !== undefined) t.ok(ruleNames.includes(cell.rule), `${when}: the rule exists`)
        const judged = direction === 'inbound' && (type === 'subscribed' || type === 'unsubscribed')
        t.equal(cell.rule !== undefined, judged, `${when}: a rule judges it`)
      }
    }
  }
  t.end()
})

t.test('every cell is there, once for each RFC, and both say the same', t => {
  const cells = new Map(rows.map(row => [row.slice(0, 4).join(' '), row.slice(4, 9).join(' ')]))
  t.equal(cells.size, 144)
  for (const direction of directions) {
    for (const type of subscriptionTypes) {
      for (const state of Object.keys(states)) {
        const cell = `${direction} ${type} ${state}`
        t.equal(cells.get(`3921 ${cell}`), cells.get(`6121 ${cell}`), cell)
      }
    }
  }
  t.end()
})

t.test('where pre-approval would matter', t => {
  const noted = rows.filter(row => row[9] !== '-')
  for (const [rfc, direction, type, from, passes, , , , , note] of noted) {
    t.equal(rfc, '6121', 'RFC 3921 knows none')
    // Meaningful where the contact neither sees the user nor asks to (RFC 6121 section 3.4).
    t.match(from, /^(None|None\+PendingOut|To)$/)
    const expected: Record<string, string> = {
      sets: 'outbound subscribed no',
      clears: 'outbound unsubscribed no',
      answers: 'inbound subscribe deliver',
    }
    t.equal(`${direction} ${type} ${passes}`, expected[note as string], `${note} in ${from}`)
  }
  t.equal(noted.length, 9, 'three states, three kinds')
  t.end()
})

t.test('a state is not changed in place, and what does not move is the same object', t => {
  for (const state of Object.values(states)) {
    const frozen = Object.freeze({ ...state })
    for (const direction of directions) {
      for (const type of subscriptionTypes) {
        const step = next(frozen, direction, type)
        const moved = (['to', 'from'] as const).filter(half => step.state[half] !== frozen[half])
        t.ok(moved.length <= 1, `${direction} ${type}: one half at most`)
        if (moved.length === 0) t.equal(step.state, frozen)
      }
    }
  }
  t.end()
})

t.test('what a roster shows says who sees whom', t => {
  for (const [name, state] of Object.entries(states)) {
    t.equal(seesContact(visible(state)), state.to === 'active', `${name}: the user sees the contact`)
    t.equal(isSeenByContact(visible(state)), state.from === 'active', `${name}: the contact sees the user`)
  }
  t.end()
})

t.test('the steps of a visible state: each once, and none that stays', t => {
  const steps = visibleSteps.map(pair => pair.map(({ subscription, ask }) => `${subscription}${ask ? '?' : ''}`))
  for (const [before, after] of steps) t.not(before, after)
  t.equal(new Set(steps.map(step => step.join(' '))).size, steps.length)
  t.end()
})
