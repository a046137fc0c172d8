/** The console: what is shown where, and what keeps it up to date. */
import { render } from '/console/lit-html/lit-html.js'
import { listen } from './live.js'
import { lookUpAccount, refreshOverview, refreshQuarantine, refreshSessions } from './server.js'
import { changed, drawWith, state } from './store.js'
import { frame } from './views/frame.js'

const seconds = 1_000
const places = ['traffic', 'sessions', 'account', 'quarantine', 'explain']

/** The address says what is shown: it can be kept, sent, and gone back to. */
function goToAddress() {
  const [place = '', rest = ''] = location.hash.slice(1).split('/')
  state.place = places.includes(place) ? place : 'traffic'
  document.title = `${state.place[0].toUpperCase()}${state.place.slice(1)} – Stanzagate console`
  if (state.place === 'sessions') void refreshSessions()
  if (state.place === 'quarantine') void refreshQuarantine()
  if (state.place === 'account') {
    let account = ''
    try {
      account = decodeURIComponent(rest)
    } catch {
      // Somebody has written a % there; the account is empty then.
    }
    if (account !== state.account || state.known.answer === undefined) void lookUpAccount(account)
  }
  changed()
}

function refresh() {
  void refreshOverview()
  if (state.place === 'sessions') void refreshSessions()
  if (state.place === 'quarantine') void refreshQuarantine()
}

addEventListener('hashchange', goToAddress)
document.addEventListener('visibilitychange', refresh)
setInterval(refresh, 3 * seconds)
// Times that have passed go on.
setInterval(changed, 10 * seconds)

const app = document.getElementById('app')
app.textContent = ''
drawWith(() => render(frame(), app))
goToAddress()
void refreshOverview()
listen()
