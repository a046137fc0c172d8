/** Beside the traffic: the rules with their modes and counts, the upstreams, and who has most decisions against them. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { count, dateAndTime } from '../format.js'
import { state } from '../store.js'
import { accountLink, jid, mode, pastVerbs, wouldVerbs } from './parts.js'

export function side() {
  const { overview, offenders } = state
  return html`<div class="side">
    ${panel('Rules', overview && rules(overview.rules))}
    ${panel('Upstreams', overview && upstreams(overview))}
    ${offenders === undefined ? nothing : panel('Top offenders', offending(offenders))}
  </div>`
}

function panel(title, content) {
  const id = `side-${title.toLowerCase().replace(' ', '-')}`
  return html`<section class="panel" aria-labelledby=${id}>
    <div class="head"><h2 id=${id}>${title}</h2></div>
    ${content ?? html`<p class="empty">Loading…</p>`}
  </section>`
}

function rules(all) {
  return html`<table class="rules">
    <thead><tr><th scope="col">Rule</th><th scope="col">Mode</th><th scope="col" class="number">Decisions</th></tr></thead>
    <tbody>${all.map(({ rule, clause, about, mode: name, decisions }) => {
      const total = Object.values(decisions).reduce((sum, value) => sum + value, 0)
      return html`<tr class=${name}>
        <th scope="row"><span title="${about} (${clause})">${rule}</span><small>${clause}</small></th>
        <td>${mode(name)}</td>
        <td class="number ${total === 0 ? 'dim' : ''}">${count(total)}${total === 0 ? nothing : html`<small>${told(decisions, name)}</small>`}</td>
      </tr>`
    })}</tbody>
  </table>`
}

/** What the decisions were: a number to each only where there are several kinds. */
function told(decisions, mode) {
  const verbs =
    mode === 'observe' ? wouldVerbs : mode === 'repair' ? { ...wouldVerbs, forward: pastVerbs.forward } : pastVerbs
  const parts = Object.entries(decisions).filter(([, value]) => value > 0)
  if (parts.length === 1) return html`<span>${verbs[parts[0][0]]}</span>`
  return parts.map(([verdict, value]) => html`<span>${count(value)} ${verbs[verdict]}</span> `)
}

const states = { up: 'up', down: 'down', unknown: 'not tried' }

function upstreams({ upstreams: all, routes, listeners }) {
  return html`<ul class="facts">
    ${all.map(
      ({ name, address, port, tls, state: is, lastError, sessions, members }) => html`<li>
        <p><b>${name}</b> <span class="reach ${is}">${states[is]}</span><span class="right">${count(sessions)} sessions</span></p>
        <p class="dim">${members.length > 1 ? `${members.length} servers` : `${address}:${port}`}, ${tls === 'none' ? 'no TLS' : tls}; ${routes
          .filter(({ upstream }) => upstream === name)
          .map(({ domain }) => domain)
          .join(', ')}</p>
        ${members.length > 1 ? members.map(member) : nothing}
        ${lastError === null ? nothing : html`<p class=${is === 'up' ? 'dim' : 'flaw'}>${is === 'up' ? 'Up again; before that' : 'Last error'}: ${lastError.reason}, ${dateAndTime(lastError.time)}</p>`}
      </li>`,
    )}
  </ul>
  <h3>Listeners</h3>
  <ul class="facts">
    ${listeners.map(
      ({ name, address, port, kind, tls, sessions }) => html`<li>
        <p><b>${name}</b> <span class="dim">${wireNames[kind]} ${address}:${port}, ${tls === 'none' ? 'no TLS' : tls}</span><span class="right">${count(sessions)}</span></p>
      </li>`,
    )}
  </ul>`
}

function member({ address, port, weight, sessions, state: is }) {
  const shown = is === 'up' ? (weight === 1 ? '' : `weight ${weight}`) : is
  return html`<p class=${is === 'ejected' ? 'flaw' : 'dim'}>${address}:${port} ${shown}<span class="right">${count(sessions)}</span></p>`
}

const wireNames = { tcp: 'TCP', websocket: 'WebSocket' }

const offendersAtMost = 10

function offending(all) {
  if (all.length === 0) return html`<p class="empty">Nobody has a decision against them.</p>`
  return html`<table class="offenders">
    <thead><tr><th scope="col">Who, and by which rule last</th><th scope="col" class="number">Decisions</th></tr></thead>
    <tbody>${all.slice(0, offendersAtMost).map(
      ({ kind, key, count: number, error, rule, mode: name }) => html`<tr>
        <th scope="row">${kind === 'account' ? accountLink(key) : jid(key)}
          <small>${kind}${rule === 'none' ? '' : `, ${rule}`}${name === 'observe' ? ', which observes' : ''}</small></th>
        <td class="number" title=${error > 0 ? `at most; at least ${count(number - error)}` : ''}>${error > 0 ? '≤ ' : ''}${count(number)}</td>
      </tr>`,
    )}</tbody>
  </table>`
}
