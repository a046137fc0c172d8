/** All that the page knows, in one place. Whoever changes it says so, and the page is drawn again with the next frame. */
export const eventsAtMost = 500

export const state = {
  /** One of `places`, from the part of the address behind the #. */
  place: 'traffic',
  /** The account that is looked at. */
  account: '',
  /** `undefined`: not asked yet. */
  overview: undefined,
  offenders: undefined,
  /** Why the overview is not the present one. */
  overviewFlaw: undefined,

  /** connecting, live, lost (it comes back by itself), refused (with a flaw), unasked (the filters are not valid) */
  feed: 'connecting',
  feedFlaw: undefined,
  /** Newest first. */
  events: [],
  /** While paused: what has come since, newest first. */
  held: [],
  isPaused: false,
  filters: { account: '', contact: '', type: '', verdict: '', rule: '', direction: '' },
  /** Where there is little room. */
  areFiltersShown: false,
  /** The ids of events whose details are shown. */
  open: new Set(),

  sessions: { query: { account: '', listener: '', wire: '' }, pages: [0], answer: undefined, flaw: undefined },
  /** `done`: what was decided last, in words. */
  quarantine: {
    query: { account: '', contact: '' },
    pages: [0],
    answer: undefined,
    flaw: undefined,
    done: undefined,
    isAsked: false,
  },
  known: { answer: undefined, flaw: undefined, isAsked: false },
  explain: {
    form: {
      from: 'server',
      state: 'none',
      account: 'juliet@im.example/balcony',
      stanza: "<presence from='tybalt@capulet.example' to='juliet@im.example' type='subscribed'/>",
    },
    answer: undefined,
    flaw: undefined,
    isAsked: false,
  },
}

let draw = () => {}
let isDue = false

export function drawWith(drawing) {
  draw = drawing
  changed()
}

export function changed() {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    draw()
  })
}

/** For whoever listens to the page instead of looking at it; not more often than can be followed. */
let words = ''
let isWaiting = false

export function announce(text) {
  words = text
  if (isWaiting) return
  isWaiting = true
  setTimeout(() => {
    isWaiting = false
    document.getElementById('announcer').textContent = words
  }, 2_000)
}
