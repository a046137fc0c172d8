/** Small things that several views show. */
import { html, nothing } from '/console/lit-html/lit-html.js'
import { plain } from '../format.js'

/** What a rule has done with a stanza, or would have. */
export const pastVerbs = { forward: 'rewritten', reject: 'rejected', drop: 'dropped', close: 'closed' }
export const wouldVerbs = { forward: 'would rewrite', reject: 'would reject', drop: 'would drop', close: 'would close' }

/** Its colour is never all that tells it. */
export function verdict({ verdict: name, mode, rule }) {
  // A rule in mode repair puts right what it can, and observes the rest.
  const isObserved = mode === 'observe' || (mode === 'repair' && name !== 'forward')
  const isRewritten = name === 'forward' && rule !== undefined && rule !== null && rule !== 'none'
  const text = isObserved ? wouldVerbs[name] : name === 'forward' && !isRewritten ? 'forwarded' : pastVerbs[name]
  const kind = isObserved ? 'observe' : isRewritten ? 'rewrite' : name
  return html`<span class="verdict ${kind}">${text}</span>`
}

export function mode(name) {
  return html`<span class="mode ${name}">${name}</span>`
}

/** A JID as a peer has spelled it, kept to itself whatever its direction of writing. */
export function jid(text) {
  if (text === null || text === undefined) return html`<span class="dim">–</span>`
  // If it is too long for its line, it is best broken before the domain.
  const shown = plain(text)
  const at = shown.lastIndexOf('@')
  return html`<bdi class="jid" title=${shown}>${shown.slice(0, Math.max(at, 0))}<wbr>${shown.slice(Math.max(at, 0))}</bdi>`
}

export function accountLink(text) {
  if (text === null || text === undefined) return jid(text)
  return html`<a class="account" href="#account/${encodeURIComponent(text)}">${jid(text)}</a>`
}

export function field(label, control) {
  return html`<label class="field"><span>${label}</span>${control}</label>`
}

export function choice({ name, value, options, any, onChange }) {
  return html`<select name=${name} @change=${event => onChange(event.target.value)}>
    ${any === undefined ? nothing : html`<option value="" ?selected=${value === ''}>${any}</option>`}
    ${options.map(each => html`<option value=${each} ?selected=${each === value}>${each}</option>`)}
  </select>`
}

export function complaint(text) {
  return text === undefined ? nothing : html`<p class="complaint" role="alert">${plain(text)}</p>`
}
