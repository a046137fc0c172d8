/** What is known of one account's subscriptions. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { dateAndTime, since } from '../format.js'
import { lookUpAccount } from '../server.js'
import { state } from '../store.js'
import { complaint, field, jid } from './parts.js'

export function account() {
  const { account: asked, known } = state
  return html`<section class="panel" aria-labelledby="account-title">
    <div class="head"><h2 id="account-title">An account's subscriptions</h2></div>
    <form class="filters" role="search" aria-label="Account" @submit=${submit}>
      ${field(
        'Account',
        html`<input name="account" type="search" placeholder="juliet@im.example" autocomplete="off" autocapitalize="none" spellcheck="false" .value=${asked}>`,
      )}
      <button type="submit" class="primary">Look up</button>
    </form>
    ${complaint(known.flaw)} ${known.answer === undefined ? waiting() : answer(known.answer)}
  </section>`
}

function waiting() {
  if (state.known.isAsked) return html`<p class="empty">Loading…</p>`
  if (state.known.flaw !== undefined) return nothing
  return html`<p class="empty">What the gate knows of an account, it knows from the roster that the account's own sessions have asked for.</p>`
}

const rosters = {
  live: 'seen, and followed by a session',
  remembered: 'as it was when the last session ended',
  unseen: 'not asked for by any session so far: nothing of it can be verified',
}

/** What the words of RFC 6121 say. */
const states = {
  none: 'neither sees the other',
  'none+ask': 'the account has asked, and waits',
  to: 'the account sees the contact',
  from: 'the contact sees the account',
  'from+ask': 'the contact sees the account, which has asked, and waits',
  both: 'both see each other',
}

function answer({ account: name, sessions, roster, contacts, unacknowledged, quarantine, denied }) {
  return html`
    <dl class="known">
      <div><dt>Account</dt><dd>${jid(name)}</dd></div>
      <div><dt>Sessions</dt><dd><a href="#sessions" @click=${() => toSessions(name)}>${sessions}</a></dd></div>
      <div><dt>Roster</dt><dd>${rosters[roster]}</dd></div>
      <div><dt>Contacts</dt><dd>${contacts.length}</dd></div>
      <div><dt>Requests held</dt><dd><a href="#quarantine" @click=${() => toQuarantine(name)}>${quarantine.length}</a></dd></div>
      ${denied.length === 0 ? nothing : html`<div><dt>Denied</dt><dd>${denied.map(({ contact }) => html`${jid(contact)} `)}</dd></div>`}
      ${unacknowledged.length === 0 ? nothing : html`<div><dt>Delivered, and not acknowledged</dt><dd>${unacknowledged.map(delivered)}</dd></div>`}
    </dl>
    ${contacts.length === 0 ? html`<p class="empty">No contact is known.</p>` : table(contacts)}`
}

function delivered({ type, contact, since: came }) {
  return html`<div>${type} of ${jid(contact)} <span class="dim">(<time datetime=${came}>${since(came)}</time>)</span></div>`
}

function table(contacts) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Contacts"><table class="contacts">
    <thead><tr><th scope="col">Contact</th><th scope="col">State</th><th scope="col">That is</th><th scope="col">Since</th></tr></thead>
    <tbody>${contacts.map(
      ({ contact, state: is, since: moved }) => html`<tr>
        <th scope="row">${jid(contact)}</th>
        <td><span class="state ${is.replace('+', '-')}">${is}</span></td>
        <td class="dim">${states[is] ?? nothing}</td>
        <td data-label="Since">${moved === null ? html`<span class="dim">before the gate saw it</span>` : html`<time datetime=${moved}>${dateAndTime(moved)}</time> <span class="dim">(${since(moved)})</span>`}</td>
      </tr>`,
    )}</tbody>
  </table></div>`
}

function submit(event) {
  event.preventDefault()
  const jid = new FormData(event.target).get('account').trim()
  const hash = `#account/${encodeURIComponent(jid)}`
  if (location.hash === hash) void lookUpAccount(jid)
  else location.hash = hash
}

function toQuarantine(account) {
  state.quarantine.query = { account, contact: '' }
  state.quarantine.pages = [0]
}

function toSessions(account) {
  state.sessions.query.account = account
  state.sessions.pages = [0]
}
