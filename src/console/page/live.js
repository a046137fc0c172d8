/** The gate's events as they come. A browser comes back by itself when it was cut off; when it was refused, somebody has to say why. */
import { announce, changed, eventsAtMost, state } from './store.js'

let source
let again

/** Begins again with the filters as they are. */
export function listen() {
  source?.close()
  clearTimeout(again)
  state.events = []
  state.held = []
  state.open.clear()
  state.feed = 'connecting'
  state.feedFlaw = undefined
  changed()
  const path = `/api/events?${query()}`
  const own = new EventSource(path)
  source = own
  own.addEventListener('open', () => {
    state.feed = 'live'
    state.feedFlaw = undefined
    changed()
  })
  own.addEventListener('message', ({ data }) => take(JSON.parse(data)))
  own.addEventListener('error', () => {
    const isOver = own.readyState === EventSource.CLOSED
    if (!isOver) state.feed = 'lost'
    changed()
    if (isOver && own === source) void diagnose(path)
  })
}

function query() {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(state.filters)) if (value !== '') query.set(name, value)
  return query
}

function take(event) {
  // What was cut off in the middle is told again.
  const last = state.held[0] ?? state.events[0]
  if (last !== undefined && event.id <= last.id) return
  const list = state.isPaused ? state.held : state.events
  list.unshift(event)
  const isFull = list.length > eventsAtMost
  if (isFull) state.open.delete(list.pop().id)
  announce(`${event.kind} ${event.type} ${event.direction}, ${event.account ?? 'unknown account'}: ${event.verdict}`)
  changed()
}

/** EventSource does not tell what the answer was. */
async function diagnose(path) {
  const abort = new AbortController()
  try {
    const response = await fetch(path, { signal: abort.signal, headers: { accept: 'application/problem+json' } })
    if (response.status === 401) location.assign('/console/login')
    // What was asked is wrong then, and the connection is not.
    state.feed = response.status === 400 ? 'unasked' : 'refused'
    if (!response.ok) state.feedFlaw = (await response.json()).detail
    if (response.ok || response.status >= 500) again = setTimeout(listen, 5_000)
  } catch {
    state.feed = 'lost'
    again = setTimeout(listen, 5_000)
  }
  abort.abort()
  changed()
}

export function pause() {
  state.isPaused = !state.isPaused
  if (!state.isPaused) {
    state.events = [...state.held, ...state.events].slice(0, eventsAtMost)
    state.held = []
  }
  changed()
}
