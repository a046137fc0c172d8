/** The clients' streams, a page at a time. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { count, dateAndTime, plain, since } from '../format.js'
import { refreshSessions } from '../server.js'
import { state } from '../store.js'
import { accountLink, choice, complaint, field } from './parts.js'

export function sessions() {
  const { answer, flaw, pages } = state.sessions
  return html`<section class="panel" aria-labelledby="sessions-title">
    <div class="head"><h2 id="sessions-title">Sessions</h2>
      ${answer === undefined ? nothing : html`<span class="dim">${count(answer.total)} in all</span>`}
    </div>
    ${filters()} ${complaint(flaw)}
    <div class="scroll" tabindex="0" role="region" aria-labelledby="sessions-title">
      <table class="sessions">
        <caption class="unseen">Clients' streams, oldest first</caption>
        <thead><tr>
          <th scope="col">Account</th><th scope="col">Resource</th><th scope="col">Address</th><th scope="col">Listener</th><th scope="col">Wire</th>
          <th scope="col">TLS</th><th scope="col">Route</th><th scope="col">Phase</th><th scope="col" class="number">For</th>
        </tr></thead>
        <tbody>${(answer?.sessions ?? []).map(row)}</tbody>
      </table>
      ${answer === undefined ? (flaw === undefined ? html`<p class="empty">Loading…</p>` : nothing) : answer.sessions.length > 0 ? nothing : html`<p class="empty">No session fits.</p>`}
    </div>
    <p class="pages">
      <button ?disabled=${pages.length === 1} @click=${back}>Previous page</button>
      <span class="dim">Page ${pages.length}</span>
      <button ?disabled=${(answer?.next ?? null) === null} @click=${next}>Next page</button>
    </p>
  </section>`
}

function row({ account, resource, address, listener, wire, tls, route, phase, since: begun }) {
  const small = (label, value) => html`<td data-label=${label}>${value}</td>`
  return html`<tr>
    <td class="who">${accountLink(account)}</td>
    <td class="who">${resource === null ? html`<span class="dim">–</span>` : html`<bdi class="jid">${plain(resource)}</bdi>`}</td>
    ${small('Address', address ?? html`<span class="dim">–</span>`)} ${small('Listener', listener)} ${small('Wire', wire)}
    ${small('TLS', tls === 'none' ? html`<span class="dim">none</span>` : tls)}
    ${small('Route', route ?? html`<span class="dim">–</span>`)} ${small('Phase', phase)}
    <td data-label="For" class="number" title="since ${dateAndTime(begun)}">${since(begun)}</td>
  </tr>`
}

function filters() {
  const { query } = state.sessions
  const change = name => value => {
    query[name] = value.trim()
    state.sessions.pages = [0]
    void refreshSessions()
  }
  const names = (state.overview?.listeners ?? []).map(({ name }) => name)
  const one = (name, options) => choice({ name, value: query[name], options, any: 'any', onChange: change(name) })
  return html`<form class="filters" role="search" aria-label="Filters" @submit=${event => event.preventDefault()}>
    ${field(
      'Account',
      html`<input name="account" type="search" placeholder="juliet@im.example" autocomplete="off" autocapitalize="none" spellcheck="false"
        .value=${query.account} @change=${event => change('account')(event.target.value)}>`,
    )}
    ${field('Listener', one('listener', names))} ${field('Wire', one('wire', ['tcp', 'websocket']))}
  </form>`
}

function next() {
  state.sessions.pages.push(state.sessions.answer.next)
  void refreshSessions()
}

function back() {
  state.sessions.pages.pop()
  void refreshSessions()
}
