/** What the gate would make of a stanza, and why. Nothing is sent anywhere. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { plain } from '../format.js'
import { explain } from '../server.js'
import { changed, state } from '../store.js'
import { choice, complaint, field, mode, verdict } from './parts.js'

const states = ['none', 'none+ask', 'to', 'from', 'from+ask', 'both', 'unknown']

export function explaining() {
  const { form, answer, flaw, isAsked } = state.explain
  const set = name => value => {
    form[name] = value
    changed()
  }
  return html`<div class="columns even">
    <section class="panel" aria-labelledby="explain-title">
      <div class="head"><h2 id="explain-title">What would the gate do?</h2></div>
      <form class="explain" @submit=${submit}>
        <label class="field"><span>Stanza</span>
          <textarea name="stanza" rows="7" spellcheck="false" autocapitalize="none" .value=${form.stanza}
            @input=${event => set('stanza')(event.target.value)}></textarea>
        </label>
        <div class="filters">
          ${field('Sent by', choice({ name: 'from', value: form.from, options: ['client', 'server'], onChange: set('from') }))}
          ${field('State of the contact', choice({ name: 'state', value: form.state, options: states, onChange: set('state') }))}
          ${field(
            'Account',
            html`<input name="account" autocomplete="off" autocapitalize="none" spellcheck="false" .value=${form.account}
              @input=${event => set('account')(event.target.value)}>`,
          )}
        </div>
        <p class="actions"><button type="submit" class="primary" ?disabled=${isAsked}>Explain</button>
          <span class="dim">The rules as they are configured are asked; nothing is sent.</span></p>
      </form>
      ${complaint(flaw)}
    </section>
    <section class="panel" aria-labelledby="answer-title" aria-live="polite">
      <div class="head"><h2 id="answer-title">Answer</h2>${answer === undefined ? nothing : verdict(answer)}</div>
      ${answer === undefined ? html`<p class="empty">Give a stanza, and see which rule decides on it, and why.</p>` : told(answer)}
    </section>
  </div>`
}

function submit(event) {
  event.preventDefault()
  void explain()
}

const outcomes = {
  nothing: 'nothing against it',
  rewrote: 'rewrote it',
  would: 'would have spoken',
  decided: 'decided',
  unasked: 'not asked any more',
  off: 'off',
}

const silent = ['nothing', 'unasked', 'off']

function told({ why, path, forwarded, answer, passesIn, server }) {
  return html`
    <ul class="why">${why.map(sentence => html`<li>${plain(sentence)}</li>`)}</ul>
    ${passesIn === null ? nothing : html`<p class="passes">It passes in: ${passesIn.map(name => html`<span class="state">${name}</span> `)}</p>`}
    ${ways(path)}
    ${server.length === 0 ? nothing : steps(server)} ${xml('The other side gets', forwarded)} ${xml('Its sender gets', answer)}`
}

/** Rules that had nothing to say are there for who wants them. */
function ways(path) {
  const spoke = path.filter(({ outcome }) => !silent.includes(outcome))
  const rest = path.filter(({ outcome }) => silent.includes(outcome))
  return html`${spoke.length === 0 ? nothing : table('The rules that spoke, in the order of asking', spoke)}
    ${rest.length === 0 ? nothing : html`<details class="silent"><summary>${rest.length} ${rest.length === 1 ? 'rule' : 'rules'} with nothing to say</summary>${table('In the order of asking', rest)}</details>`}`
}

function table(caption, path) {
  return html`<table class="path">
      <caption>${caption}</caption>
      <thead><tr><th scope="col">Rule</th><th scope="col">Mode</th><th scope="col">Outcome</th></tr></thead>
      <tbody>${path.map(
        ({ rule, clause, about, mode: name, outcome, error }) => html`<tr class=${outcome}>
          <th scope="row"><span title=${about}>${rule}</span><small>${clause}</small></th>
          <td>${name === null ? nothing : mode(name)}</td>
          <td>${outcomes[outcome]}${error === null ? nothing : html`: ${error}`}</td>
        </tr>`,
      )}</tbody>
    </table>`
}

function steps(server) {
  return html`<h3>A server, by RFC 6121</h3><ul class="why">${server.map(
    ({ before, after, passes, autoReply }) =>
      html`<li>in state <b>${before}</b>: ${passes ? 'passes it on' : 'does not pass it on'}${before === after ? ', and stays there' : html`, and goes to <b>${after}</b>`}${autoReply === null ? nothing : `, and answers ${autoReply} in the user’s name`}</li>`,
  )}</ul>`
}

function xml(title, text) {
  return text === null ? nothing : html`<h3>${title}</h3><pre tabindex="0">${plain(text)}</pre>`
}
