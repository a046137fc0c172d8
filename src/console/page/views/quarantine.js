/** Requests of strangers that are held: they can be released, and denied. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { count, dateAndTime, plain, since } from '../format.js'
import { decide, refreshQuarantine } from '../server.js'
import { state } from '../store.js'
import { accountLink, complaint, field, jid } from './parts.js'

export function quarantine() {
  const { answer, flaw, pages, done } = state.quarantine
  const mayDecide = answer?.mayDecide === true
  return html`<section class="panel" aria-labelledby="quarantine-title">
    <div class="head"><h2 id="quarantine-title">Requests that are held</h2>
      ${answer === undefined ? nothing : html`<span class="dim">${count(answer.total)} in all</span>`}
    </div>
    ${filters()} ${complaint(flaw)}
    <p class="note" role="status">${done ?? (answer === undefined || mayDecide ? nothing : html`<span class="dim">Nothing can be decided here: the configuration has no <code>admin.write</code>, or no <code>limits.pendingRequests</code>.</span>`)}</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="quarantine-title">
      <table class="quarantine">
        <caption class="unseen">Requests of strangers; of each account, who is let through first is first</caption>
        <thead><tr>
          <th scope="col">Account</th><th scope="col">Stranger</th><th scope="col">Text</th><th scope="col">Why</th>
          <th scope="col" class="number">For</th>${mayDecide ? html`<th scope="col">Decide</th>` : nothing}
        </tr></thead>
        <tbody>${(answer?.requests ?? []).map(request => row(request, mayDecide))}</tbody>
      </table>
      ${answer === undefined ? (flaw === undefined ? html`<p class="empty">Loading…</p>` : nothing) : answer.requests.length > 0 ? nothing : html`<p class="empty">No request is held.</p>`}
    </div>
    <p class="pages">
      <button ?disabled=${pages.length === 1} @click=${back}>Previous page</button>
      <span class="dim">Page ${pages.length}</span>
      <button ?disabled=${(answer?.next ?? null) === null} @click=${next}>Next page</button>
      ${mayDecide && answer.total > 0 ? all(answer.total) : nothing}
    </p>
  </section>`
}

/** Which limit a request waits for. */
const reasons = {
  'per-login': 'as many as one login is shown',
  'per-day': 'as many as one day is shown',
  rate: 'as many as may come within an hour',
  'no-roster': 'the roster was not seen yet',
}

export function row(request, mayDecide) {
  const { account, contact, since: begun, why, text } = request
  const small = (label, value) => html`<td data-label=${label}>${value}</td>`
  return html`<tr>
    <td class="who">${accountLink(account)}</td>
    <td class="who">${jid(contact)}</td>
    ${small('Text', text === undefined || text === null ? html`<span class="dim">–</span>` : html`<bdi class="said">${plain(text)}</bdi>`)}
    ${small('Why', html`<span class="dim">${reasons[why] ?? why}</span>`)}
    <td data-label="For" class="number" title="since ${dateAndTime(begun)}">${since(begun)}</td>
    ${mayDecide ? html`<td class="decide">${choice('release', account, contact)} ${choice('deny', account, contact)}</td>` : nothing}
  </tr>`
}

const words = { release: 'Release', deny: 'Deny' }

function choice(decision, account, contact) {
  return html`<button aria-label="${words[decision]} ${plain(contact)}" ?disabled=${state.quarantine.isAsked}
    @click=${() => decide(decision, { account, contact })}>${words[decision]}</button>`
}

/** What the filters show can be decided as a whole, on all pages. */
function all(total) {
  const { query, isAsked } = state.quarantine
  const one = decision => {
    const sure = `${words[decision]} ${count(total)} requests?`
    const chosen = { account: pattern(query.account), contact: pattern(query.contact) }
    return html`<button class=${decision} ?disabled=${isAsked} @click=${() => confirm(sure) && decide(decision, chosen)}>${words[decision]} all ${count(total)}</button>`
  }
  return html`<span class="decide">${one('release')} ${one('deny')}</span>`
}

function pattern(text) {
  return text === '' ? '*' : text
}

function filters() {
  const { query } = state.quarantine
  const one = (name, label, example) =>
    field(
      label,
      html`<input name=${name} type="search" placeholder=${example} autocomplete="off" autocapitalize="none" spellcheck="false"
        .value=${query[name]} @change=${event => change(name, event.target.value)}>`,
    )
  return html`<form class="filters" role="search" aria-label="Filters" @submit=${event => event.preventDefault()}>
    ${one('account', 'Account', 'juliet@im.example')} ${one('contact', 'Stranger', '*@spam.example')}
  </form>`
}

function change(name, value) {
  state.quarantine.query[name] = value.trim()
  state.quarantine.pages = [0]
  void refreshQuarantine()
}

function next() {
  state.quarantine.pages.push(state.quarantine.answer.next)
  void refreshQuarantine()
}

function back() {
  state.quarantine.pages.pop()
  void refreshQuarantine()
}
