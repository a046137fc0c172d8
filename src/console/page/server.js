/** What the page asks the gate. */
import { count } from './format.js'
import { changed, state } from './store.js'

/** The answer, or throws an Error with the problem's words. */
export async function ask(path, options = {}) {
  let response
  try {
    response = await fetch(path, { headers: { accept: 'application/json' }, ...options })
  } catch {
    throw new Error('the gate does not answer')
  }
  // The login is over, or was ended elsewhere.
  if (response.status === 401) location.assign('/console/login')
  const answer = await response.json().catch(() => undefined)
  if (response.ok) return answer
  throw new Error(answer?.detail ?? `the gate answered ${response.status}`)
}

/** Every few seconds, while somebody looks. */
export async function refreshOverview() {
  if (document.hidden) return
  try {
    state.overview = await ask('/api/overview')
    state.overviewFlaw = undefined
  } catch (error) {
    state.overviewFlaw = error.message
  }
  changed()
  if (state.overviewFlaw !== undefined) return
  state.offenders = await ask('/api/offenders').catch(() => undefined)
  changed()
}

export async function refreshSessions() {
  if (document.hidden) return
  const { sessions } = state
  const query = new URLSearchParams({ limit: '50', after: String(sessions.pages.at(-1)) })
  for (const [name, value] of Object.entries(sessions.query)) if (value !== '') query.set(name, value)
  await answerInto(sessions, () => ask(`/api/sessions?${query}`))
}

export async function refreshQuarantine() {
  if (document.hidden) return
  const { quarantine } = state
  const query = new URLSearchParams({ limit: '50', after: String(quarantine.pages.at(-1)) })
  for (const [name, value] of Object.entries(quarantine.query)) if (value !== '') query.set(name, value)
  await answerInto(quarantine, () => ask(`/api/quarantine?${query}`))
}

const past = { release: 'released', deny: 'denied' }

/** `chosen`: an account and a stranger, or patterns of them. */
export async function decide(decision, chosen) {
  const { quarantine } = state
  quarantine.isAsked = true
  changed()
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  try {
    const answer = await ask(`/api/quarantine/${decision}`, { method: 'POST', headers, body: JSON.stringify(chosen) })
    quarantine.done = `${count(answer.requests)} ${past[decision]}.`
    quarantine.pages = [0]
  } catch (error) {
    quarantine.done = `Nothing was ${past[decision]}: ${error.message}.`
  }
  quarantine.isAsked = false
  await refreshQuarantine()
}

export async function lookUpAccount(jid) {
  state.account = jid
  const { known } = state
  known.answer = undefined
  known.flaw = undefined
  if (jid === '') return changed()
  known.isAsked = true
  changed()
  await answerInto(known, () => ask(`/api/accounts/${encodeURIComponent(jid)}`))
  known.isAsked = false
  changed()
}

export async function explain() {
  const { explain: part } = state
  part.isAsked = true
  changed()
  const body = JSON.stringify(part.form)
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  await answerInto(part, () => ask('/api/explain', { method: 'POST', headers, body }))
  part.isAsked = false
  changed()
}

async function answerInto(part, asking) {
  try {
    part.answer = await asking()
    part.flaw = undefined
  } catch (error) {
    part.answer = undefined
    part.flaw = error.message
  }
  changed()
}
