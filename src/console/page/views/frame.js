/** What stands round every view: the name, the way to the views, how the gate is. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { count, duration } from '../format.js'
import { changed, state } from '../store.js'
import { account } from './account.js'
import { explaining } from './explain.js'
import { quarantine } from './quarantine.js'
import { sessions } from './sessions.js'
import { traffic } from './traffic.js'

const views = {
  traffic: ['Traffic', traffic],
  sessions: ['Sessions', sessions],
  account: ['Account', account],
  quarantine: ['Held', quarantine],
  explain: ['Explain', explaining],
}

export function frame() {
  const { overview, place } = state
  return html`
    <header>
      <h1><img src="/console/icon.svg" alt="" width="22" height="22"><span class="name">Stanzagate</span></h1>
      <nav aria-label="Views">
        ${Object.entries(views).map(
          ([name, [title]]) => html`<a href="#${name}" aria-current=${name === place ? 'page' : nothing}>${title}</a>`,
        )}
      </nav>
      <p class="about">
        ${overview === undefined ? nothing : html`<span>${overview.version}</span><span>up ${duration(overview.uptimeSeconds)}</span>`}
      </p>
      ${connection()} ${themes()}
      ${overview?.guarded ? html`<form method="post" action="/console/logout"><button>Log out</button></form>` : nothing}
    </header>
    ${state.overviewFlaw === undefined ? nothing : html`<p class="complaint stale" role="alert">The numbers are not the present ones: ${state.overviewFlaw}.</p>`}
    ${tiles(overview)}
    <main id="main" tabindex="-1">${views[place][1]()}</main>
  `
}

const feeds = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Disconnected',
  refused: 'Not connected',
  unasked: 'Connected',
}

function connection() {
  // While no events are asked for, the numbers are what tells.
  const feed = state.feed === 'unasked' && state.overviewFlaw !== undefined ? 'lost' : state.feed
  const name = state.isPaused && feed === 'live' ? 'paused' : feed
  return html`<p class="connection ${name}" role="status" title=${name === 'lost' ? 'Trying again' : nothing}><i aria-hidden="true"></i>${feeds[name] ?? 'Paused'}</p>`
}

function themes() {
  const chosen = document.documentElement.dataset.theme ?? 'auto'
  return html`
    <label class="theme"><span class="unseen">Colours</span>
      <select @change=${event => choose(event.target.value)}>
        ${['auto', 'light', 'dark'].map(
          name =>
            html`<option value=${name} ?selected=${name === chosen}>${name[0].toUpperCase()}${name.slice(1)}</option>`,
        )}
      </select>
    </label>`
}

function choose(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  try {
    if (theme === 'auto') localStorage.removeItem('stanzagate-theme')
    else localStorage.setItem('stanzagate-theme', theme)
  } catch {
    // It holds until the page is left.
  }
  changed()
}

function tiles(overview) {
  const { sessions, stanzas, observed, subscriptions } = overview?.counts ?? {}
  const rows = [
    ['Sessions', sessions, ''],
    ['Forwarded', stanzas?.forward, 'forward'],
    ['Rejected', stanzas?.reject, 'reject'],
    ['Dropped', stanzas?.drop, 'drop'],
    ['Closed', stanzas?.close, 'close'],
    ['Observed', observed, 'observe'],
    ['Requests', subscriptions && (subscriptions['request-out'] ?? 0) + (subscriptions['request-in'] ?? 0), ''],
    ['Approvals', subscriptions && (subscriptions['approval-out'] ?? 0) + (subscriptions['approval-in'] ?? 0), ''],
  ]
  return html`<dl class="tiles ${state.overviewFlaw === undefined ? '' : 'stale'}" aria-label="Since the gate was started">
    ${rows.map(
      ([name, value, kind]) =>
        html`<div class=${kind}><dt>${name}</dt><dd>${value === undefined ? '–' : count(value)}</dd></div>`,
    )}
  </dl>`
}
