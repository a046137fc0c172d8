/** Subscription traffic and decisions, as they happen. */

import { repeat } from '/console/lit-html/directives/repeat.js'
import { html, nothing } from '/console/lit-html/lit-html.js'
import { clock, count, dateAndTime, plain } from '../format.js'
import { listen, pause } from '../live.js'
import { changed, eventsAtMost, state } from '../store.js'
import { accountLink, choice, complaint, field, jid, verdict } from './parts.js'
import { side } from './side.js'

/** Rows that are drawn; more nobody reads. */
const shownAtMost = 200

export function traffic() {
  const { events, held, isPaused } = state
  return html`<div class="columns">
    <section class="panel" aria-labelledby="traffic-title">
      <div class="head">
        <h2 id="traffic-title">Live traffic</h2>
        <span class="dim" title="The last ${eventsAtMost} are kept">${count(events.length)} ${events.length === 1 ? 'event' : 'events'}</span>
        ${held.length === 0 ? nothing : html`<span class="new">${held.length} new</span>`}
        <button class="narrow push" aria-expanded=${state.areFiltersShown} aria-controls="filters" @click=${showFilters}>Filters${isFiltered() ? ' (set)' : ''}</button>
        <button class="push" aria-pressed=${isPaused} @click=${pause}>${isPaused ? 'Resume' : 'Pause'}</button>
      </div>
      ${filters()} ${flaw()}
      <div class="scroll" tabindex="0" role="region" aria-labelledby="traffic-title">
        <table class="events">
          <caption class="unseen">Subscription stanzas and decisions, newest first</caption>
          <thead><tr>
            <th scope="col">Time</th><th scope="col">Verdict</th><th scope="col">Stanza</th><th scope="col">Account</th>
            <th scope="col"><span class="unseen">Way</span></th><th scope="col">Contact</th><th scope="col">State</th>
            <th scope="col">Rule</th>
          </tr></thead>
          <tbody>${repeat(events.slice(0, shownAtMost), event => event.id, row)}</tbody>
        </table>
        ${events.length === 0 ? empty() : nothing}
      </div>
    </section>
    ${side()}
  </div>`
}

function row(event) {
  const { id, time, direction, account, contact, state: known, rule } = event
  const isOpen = state.open.has(id)
  return html`<tr class=${isOpen ? 'open' : ''}>
      <td class="time"><button class="more" aria-expanded=${isOpen} aria-label="${clock(time)}: details" @click=${() => toggle(id)}><time datetime=${time}>${clock(time)}</time></button></td>
      <td class="says">${verdict(event)}</td>
      <td class="type">${sort(event)}</td>
      <td class="who">${accountLink(account)}</td>
      <td class="way"><span aria-hidden="true">${direction === 'outbound' ? '→' : '←'}</span><span class="unseen">${direction}</span></td>
      <td class="who">${jid(contact)}</td>
      <td class="state">${known ?? html`<span class="dim">–</span>`}</td>
      <td class="rule ${rule}">${rule === 'none' ? html`<span class="dim">–</span>` : rule}</td>
    </tr>
    ${isOpen ? details(event) : nothing}`
}

/** Its type; what nobody knows as one, as it was sent. */
function sort({ kind, type, spelled }) {
  if (type === 'other' && spelled !== null)
    return html`<bdi class="spelled">“${plain(spelled)}”</bdi><small>${kind}</small>`
  return html`<span class=${kind === 'presence' ? 'unseen' : 'dim'}>${kind}${' '}</span>${type}`
}

function details(event) {
  const {
    id,
    time,
    direction,
    state: known,
    clause,
    mode,
    error,
    route,
    listener,
    session,
    account,
    contact,
    spelled,
  } = event
  const facts = [
    ['Decision', id],
    ['At', dateAndTime(time)],
    ['Way', direction === 'outbound' ? 'outbound: from the client' : 'inbound: from the server'],
    ['Type as sent', spelled],
    ['Account', account],
    ['Contact', contact],
    ['State before', known],
    ['Clause', clause],
    ['Mode', mode],
    ['Error', error],
    ['Route', route],
    ['Listener', listener],
    ['Session', session],
  ]
  return html`<tr class="details"><td colspan="8"><dl>
    ${facts.map(([name, value]) => (value === null ? nothing : html`<div><dt>${name}</dt><dd><bdi>${plain(value)}</bdi></dd></div>`))}
  </dl>
  <p><button @click=${() => only('account', account)} ?disabled=${account === null}>Only this account</button>
    <button @click=${() => only('contact', contact)} ?disabled=${contact === null}>Only this contact</button></p></td></tr>`
}

function toggle(id) {
  if (!state.open.delete(id)) state.open.add(id)
  changed()
}

function only(name, value) {
  state.filters[name] = value
  listen()
}

const types = [
  'subscribe',
  'subscribed',
  'unsubscribe',
  'unsubscribed',
  'available',
  'unavailable',
  'error',
  'get',
  'set',
  'result',
  'normal',
  'chat',
  'groupchat',
  'headline',
  'probe',
  'other',
]

function filters() {
  const { filters: set, overview } = state
  const change = name => value => {
    set[name] = value.trim()
    listen()
  }
  const text = (name, hint) =>
    html`<input name=${name} type="search" placeholder=${hint} autocomplete="off" autocapitalize="none" spellcheck="false"
      .value=${set[name]} @change=${event => change(name)(event.target.value)}>`
  const one = (name, options) => choice({ name, value: set[name], options, any: 'any', onChange: change(name) })
  const rules = ['none', ...(overview?.rules ?? []).map(({ rule }) => rule)]
  return html`<form id="filters" class="filters ${state.areFiltersShown ? '' : 'folded'}" role="search" aria-label="Filters" @submit=${event => event.preventDefault()}>
    ${field('Account', text('account', 'juliet@im.example'))} ${field('Contact', text('contact', 'romeo@im.example'))}
    ${field('Type', one('type', types))} ${field('Verdict', one('verdict', ['forward', 'reject', 'drop', 'close']))}
    ${field('Rule', one('rule', rules))} ${field('Direction', one('direction', ['outbound', 'inbound']))}
    <button type="button" ?disabled=${!isFiltered()} @click=${clear}>Clear</button>
  </form>`
}

function flaw() {
  const { feed, feedFlaw } = state
  return complaint(feed === 'unasked' ? `Filter not valid: ${feedFlaw}` : feedFlaw)
}

function isFiltered() {
  return Object.values(state.filters).some(value => value !== '')
}

function showFilters() {
  state.areFiltersShown = !state.areFiltersShown
  changed()
}

function clear() {
  for (const name of Object.keys(state.filters)) state.filters[name] = ''
  listen()
}

function empty() {
  if (state.feed === 'connecting') return html`<p class="empty">Loading…</p>`
  if (state.feed === 'unasked') return html`<p class="empty">Events come in again once the filter is put right.</p>`
  if (state.feed === 'refused') return html`<p class="empty">No events come in at present.</p>`
  if (isFiltered())
    return html`<p class="empty">None of the last ${eventsAtMost} events fits the filters. New ones that do appear here.</p>`
  return html`<p class="empty">Nothing yet. Here appears each subscription stanza (who asks, approves, denies, cancels), and every stanza
    that a rule has something against.</p>`
}
