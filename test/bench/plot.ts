/**
 * `npm run bench:plot`: draws what `npm run bench -- --json` and `npm run bench:growth -- --json` have measured, as SVG files for
 * docs/performance.md. The same figures give the same files.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from './load-run.ts'

const { values } = parseArgs({
  options: { ratios: { type: 'string' }, growth: { type: 'string' }, to: { type: 'string' } },
})
if (values.ratios === undefined && values.growth === undefined)
  throw new Error('there is nothing to draw: --ratios FILE.json or --growth FILE.json is needed')
/** Beside the sources, not in dist/. */
const folder = values.to ?? fileURLToPath(new URL('../../../docs/plots/', import.meta.url))

interface Measured<Figures> {
  readonly machine: string
  readonly rounds: number
  readonly date: string
  readonly figures: Figures
}

// ---- SVG ----

const width = 720
const ink = '#1f2328'
const faint = '#59636e'
const grid = '#d8dee4'
const colours = { gate: '#0b5cad', haproxy: '#b3541e', pipe: '#6f7782', nginx: '#b9bfc6' } as const
const fontSize = 11

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

/** A coordinate, with one digit behind the point. */
function at(value: number): string {
  return String(Math.round(value * 10) / 10)
}

interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly fill?: string
  readonly bold?: boolean
}

function text(x: number, y: number, words: string, { anchor = 'start', fill = ink, bold = false }: TextStyle = {}) {
  const weight = bold ? ' font-weight="600"' : ''
  // A white edge keeps it readable where a line passes behind it.
  const edge = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" fill="${fill}" ${edge}${weight}>${escaped(words)}</text>`
}

function line([x1, y1]: Spot, [x2, y2]: Spot, stroke: string, more = ''): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${stroke}"${more}/>`
}

function box(x: number, y: number, w: number, h: number, fill: string): string {
  return `<rect x="${at(x)}" y="${at(y)}" width="${at(w)}" height="${at(h)}" fill="${fill}"/>`
}

type Spot = readonly [number, number]

/** The white ground makes it readable on a dark page too. */
function svg(height: number, title: string, description: string, content: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description" font-family="Helvetica, Arial, sans-serif" font-size="${fontSize}">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="description">${escaped(description)}</desc>`,
    box(0, 0, width, height, '#ffffff'),
    ...content,
    '</svg>',
    '',
  ].join('\n')
}

/** Roughly, of a sans-serif font of this size. */
function widthOf(words: string): number {
  return words.length * fontSize * 0.64
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: value < 100 ? 2 : 3 })
}

function told({ date, rounds, machine }: Measured<unknown>): string {
  return `${date.slice(0, 10)}, ${rounds === 1 ? 'one round' : `median of ${rounds} rounds`}; ${machine}`
}

// ---- Ratios ----

type Compared = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>

interface Row {
  readonly key: string
  readonly name: string
  /** What the others are divided by. */
  readonly base?: string
  /** What the gate is to reach: a ratio, or kilobytes. */
  readonly must: number
  readonly aim: number
  readonly unit?: 'KB'
}

const rows: readonly Row[] = [
  { key: 'chat', name: 'chat, one in flight', must: 2.8, aim: 1.9 },
  { key: 'chat8', name: 'chat, pipelined by 8', must: 5, aim: 2.9 },
  { key: 'presence', name: 'presence broadcast', must: 3.2, aim: 2.2 },
  { key: 'subscription', name: 'subscription cycle', must: 3.5, aim: 2.2 },
  { key: 'login', name: 'login', must: 3.5, aim: 2.4 },
  { key: 'rate', name: 'added to p50, 2,000 stanzas/s', must: 1.8, aim: 1.2 },
  { key: 'idle', name: 'memory of an idle session', must: 22, aim: 13, unit: 'KB' },
  { key: 'tls-chat', name: 'TLS: chat, one in flight', must: 2.3, aim: 1.8 },
  { key: 'tls-chat8', name: 'TLS: chat, pipelined by 8', must: 3.6, aim: 2.6 },
  { key: 'tls-login', name: 'TLS: login', must: 2.6, aim: 1.9 },
  { key: 'tls-idle', name: 'TLS: memory of an idle session', must: 48, aim: 36, unit: 'KB' },
  { key: 'server-chat', name: 'chat, with Prosody ÷ Prosody', base: 'prosody', must: 1.5, aim: 1.25 },
  {
    key: 'ws-chat',
    name: 'WebSocket, with Prosody ÷ Prosody',
    base: 'prosody, mod_websocket',
    must: 1.3,
    aim: 1.05,
  },
]
/** The bars of each row, as far as they were measured; `gate and prosody` is the gate where Prosody is the server. */
const bars = [
  { name: 'gate', subjects: ['gate', 'gate and prosody'], colour: colours.gate },
  { name: 'pipe', subjects: ['pipe'], colour: colours.pipe },
  { name: 'nginx', subjects: ['nginx'], colour: colours.nginx },
] as const

/** Told apart by their forms: a line across the gate's bar, and a diamond on it. */
const marks = {
  must: (x: number, y: number) =>
    `<path d="M${at(x)} ${at(y - 7)}v14" stroke="#ffffff" stroke-width="5"/><path d="M${at(x)} ${at(y - 7)}v14" stroke="${ink}" stroke-width="2.5"/>`,
  aim: (x: number, y: number) =>
    `<path d="M${at(x)} ${at(y - 5)}l5 5l-5 5l-5 -5z" fill="#ffffff" stroke="${ink}" stroke-width="1.5"/>`,
} as const

function drawRatios(measured: Measured<Compared>): string {
  const { figures } = measured
  const ratiosOf = ({ key, base = 'haproxy' }: Row, subject: string): number | undefined => {
    const of = (name: string) => figures[key]?.[name]
    const own = of(subject)
    const other = of(base)
    if (own === undefined || other === undefined) return undefined
    // A latency is what the subject adds to the median without it.
    const direct = key === 'rate' ? of('direct') : undefined
    const each = own.map((figure, round) => {
      const without = direct?.[round] ?? 0
      return (figure - without) / ((other[round] ?? 0) - without)
    })
    return median(each)
  }
  const drawn = rows
    .filter(({ key }) => figures[key] !== undefined)
    .map(row => {
      const found = bars.flatMap(({ subjects, colour, name }) => {
        const ratio = subjects.map(subject => ratiosOf(row, subject)).find(each => each !== undefined)
        return ratio === undefined || !Number.isFinite(ratio) ? [] : [{ name, colour, ratio }]
      })
      const per = row.unit === 'KB' ? median(figures[row.key]?.haproxy ?? []) : 1
      return { row, found, must: row.must / per, aim: row.aim / per }
    })
  const most = Math.max(2, ...drawn.flatMap(({ found, must }) => [must, ...found.map(each => each.ratio)]))
  const [left, right, top] = [228, 40, 58]
  const [barHeight, gap] = [10, 11]
  const x = (ratio: number) => left + (ratio / most) * (width - left - right)
  const content: string[] = []
  let y = top
  for (const { row, found, must, aim } of drawn) {
    const height = found.length * barHeight
    content.push(text(left - 8, y + height / 2 + 4, row.name, { anchor: 'end' }))
    for (const [i, { colour, ratio }] of found.entries()) {
      const barTop = y + i * barHeight
      content.push(box(left, barTop, Math.max(x(ratio) - left, 1), barHeight - 2, colour))
      // A mark that crosses the number would make it unreadable.
      const near = i === 0 ? [x(must), x(aim)].filter(mark => mark > x(ratio) - 8 && mark < x(ratio) + 34) : []
      const clear = [x(ratio), ...near.map(mark => mark + 4)]
      content.push(text(Math.max(...clear) + 4, barTop + barHeight - 2, ratio.toFixed(2), { fill: faint }))
    }
    content.push(marks.must(x(must), y + barHeight / 2 - 1), marks.aim(x(aim), y + barHeight / 2 - 1))
    y += height + gap
  }
  const ticks = Array.from({ length: Math.floor(most) + 1 }, (_, tick) => tick)
  const under = [
    ...ticks.map(tick => line([x(tick), top - 6], [x(tick), y - 4], tick === 1 ? faint : grid)),
    ...ticks.map(tick => text(x(tick), y + 9, String(tick), { anchor: 'middle', fill: faint })),
    text(left, y + 24, 'times what HAProxy takes (1), or Prosody alone where it is named', { fill: faint }),
  ]
  const legend: string[] = [text(12, 20, 'What the gate costs, divided by what HAProxy costs', { bold: true })]
  let legendX = left
  for (const { name, colour } of bars) {
    legend.push(box(legendX, 30, 14, 9, colour), text(legendX + 19, 38, name))
    legendX += 36 + widthOf(name)
  }
  for (const name of ['must', 'aim'] as const) {
    legend.push(marks[name](legendX + 5, 34.5), text(legendX + 15, 38, name))
    legendX += 34 + widthOf(name)
  }
  const said = drawn.map(({ row, found }) => `${row.name} ${found[0]?.ratio.toFixed(2) ?? '–'}`).join('; ')
  return svg(
    Math.ceil(y + 48),
    'What the gate costs, divided by what HAProxy costs',
    `Bars by row for the gate, a bare pipe in Node and nginx, with marks for what the gate must reach and what it aims at. The gate: ${said}.`,
    [...legend, ...under, ...content, text(12, y + 40, told(measured), { fill: faint })],
  )
}

// ---- Growth ----

/** By series, subject and point. */
type Curves = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>>>

interface Panel {
  readonly title: string
  /** Of the vertical axis. */
  readonly unit: string
  readonly scale: 'linear' | 'log'
  /** `label`: what is said behind the subject's name. `derive`: another figure of the measured one and its point. */
  readonly series: readonly {
    readonly key: string
    readonly label?: string
    readonly isDashed?: boolean
    readonly derive?: (figure: number, point: number) => number
  }[]
}

interface Plot {
  readonly key: string
  readonly title: string
  /** Of the horizontal axis. */
  readonly axis: string
  readonly panels: readonly Panel[]
}

const plots: readonly Plot[] = [
  {
    key: 'sessions',
    title: 'As more sessions are logged in',
    axis: 'sessions',
    panels: [
      {
        title: 'Processor time for a chat message',
        unit: 'µs',
        scale: 'linear',
        series: [
          { key: 'all', label: 'all talk' },
          { key: 'few', label: '50 pairs', isDashed: true },
        ],
      },
      { title: 'Memory for a session', unit: 'KB', scale: 'log', series: [{ key: 'memory' }] },
    ],
  },
  {
    key: 'roster',
    title: 'As the roster grows',
    axis: 'contacts in the roster',
    panels: [
      {
        title: 'Processor time for a login with it',
        unit: 'ms',
        scale: 'log',
        series: [{ key: 'login', derive: inMilliseconds }],
      },
      {
        title: 'Processor time for a step of a subscription',
        unit: 'µs',
        scale: 'linear',
        series: [{ key: 'subscription' }],
      },
      { title: 'Processor time for a presence', unit: 'µs', scale: 'linear', series: [{ key: 'presence' }] },
      { title: 'Memory for a contact', unit: 'KB', scale: 'linear', series: [{ key: 'memory' }] },
    ],
  },
  {
    key: 'size',
    title: 'As stanzas grow',
    axis: 'bytes of the body',
    panels: [
      { title: 'Processor time for a chat message', unit: 'µs', scale: 'log', series: [{ key: 'chat' }] },
      {
        title: 'The same for each byte',
        unit: 'ns',
        scale: 'log',
        series: [{ key: 'chat', derive: (figure, bytes) => (figure * 1_000) / bytes }],
      },
    ],
  },
  {
    key: 'resources',
    title: 'As an account has more sessions',
    axis: 'sessions of each account',
    panels: [
      {
        title: 'Processor time for a step of a subscription',
        unit: 'µs',
        scale: 'log',
        series: [{ key: 'subscription' }],
      },
      {
        title: 'The same for each session of the account',
        unit: 'µs',
        scale: 'linear',
        series: [{ key: 'subscription', derive: (figure, sessions) => figure / sessions }],
      },
    ],
  },
]
const names = [
  { name: 'gate', shown: 'gate', colour: colours.gate },
  { name: 'haproxy', shown: 'HAProxy', colour: colours.haproxy },
] as const

function inMilliseconds(figure: number): number {
  return figure / 1_000
}

interface Curve {
  readonly label: string
  readonly colour: string
  readonly isDashed: boolean
  readonly points: readonly Spot[]
}

function curvesOf({ series }: Panel, curves: Curves): Curve[] {
  return series.flatMap(({ key, label, isDashed = false, derive = figure => figure }) =>
    names.flatMap(({ name, shown, colour }): Curve[] => {
      const measured = Object.entries(curves[key]?.[name] ?? {})
      const points = measured.map(([point, figures]): Spot => [Number(point), derive(median(figures), Number(point))])
      points.sort(([one], [other]) => one - other)
      return points.length === 0
        ? []
        : [{ label: label === undefined ? shown : `${shown}, ${label}`, colour, isDashed, points }]
    }),
  )
}

/** Steps of 1, 2 or 5 times a power of ten, some four of them up to `most`. */
function linearTicks(most: number): number[] {
  const rough = most / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find(each => each * power >= rough) ?? 10) * power
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}

function logTicks(least: number, most: number): number[] {
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))]
  return Array.from({ length: Math.max(to - from, 1) + 1 }, (_, i) => 10 ** (from + i))
}

function shortened(point: number): string {
  if (point >= 1_024 && point % 1_024 === 0) return `${point / 1_024} Ki`
  return point >= 100_000 && point % 1_000 === 0 ? `${point / 1_000} k` : point.toLocaleString('en')
}

/** Labels of the points below the axis: the last one, and those before it that do not touch the one behind. */
function pointLabels(points: readonly number[], x: (point: number) => number, y: number): string[] {
  let limit = Number.POSITIVE_INFINITY
  return points.toReversed().flatMap(point => {
    const words = shortened(point)
    const half = widthOf(words) / 2
    if (x(point) + half > limit) return []
    limit = x(point) - half - 4
    return [text(x(point), y, words, { anchor: 'middle', fill: faint })]
  })
}

/** Names at the ends of the lines, moved apart where they would touch. */
function endLabels(curves: readonly Curve[], x: number, y: (value: number) => number): string[] {
  const ends = curves
    .map(({ label, colour, points }) => ({ label, colour, y: y(points.at(-1)?.[1] ?? 0) }))
    .sort((one, other) => one.y - other.y)
  for (const [i, end] of ends.entries()) {
    const above = ends[i - 1]
    if (above !== undefined) end.y = Math.max(end.y, above.y + fontSize + 2)
  }
  return ends.map(({ label, colour, y }) => text(x, y + 4, label, { fill: colour, bold: true }))
}

function drawPanel(panel: Panel, curves: Curves, axis: string, [left, top]: Spot): string[] {
  const drawn = curvesOf(panel, curves)
  const points = [...new Set(drawn.flatMap(curve => curve.points.map(([point]) => point)))].sort((a, b) => a - b)
  // What a logarithm does not have is drawn at the bottom.
  const all = drawn.flatMap(curve => curve.points.map(([, value]) => value))
  const positive = all.filter(value => value > 0)
  const [least, most] = [Math.min(...positive, 1e9), Math.max(...positive, 1e-3)]
  const ticks = panel.scale === 'log' ? logTicks(least, most) : linearTicks(most)
  const [bottomValue, topValue] = [ticks[0] ?? 0, ticks.at(-1) ?? 1]
  const labels = Math.max(...drawn.map(({ label }) => widthOf(label)))
  const [plotLeft, plotRight] = [left + 50, left + panelWidth - labels - 14]
  const [plotTop, plotBottom] = [top + 34, top + panelHeight - 40]
  const [first, last] = [points[0] ?? 1, points.at(-1) ?? 1]
  const x = (point: number) =>
    first === last ? plotLeft : plotLeft + (Math.log(point / first) / Math.log(last / first)) * (plotRight - plotLeft)
  const part = (value: number) =>
    panel.scale === 'log'
      ? Math.log(Math.max(value, bottomValue) / bottomValue) / Math.log(topValue / bottomValue)
      : Math.max(value, 0) / topValue
  const y = (value: number) => plotBottom - part(value) * (plotBottom - plotTop)
  const curve = ({ colour, isDashed, points }: Curve) => {
    const path = points.map(([point, value]) => `${at(x(point))},${at(y(value))}`).join(' ')
    const dashes = isDashed ? ' stroke-dasharray="4 3"' : ''
    const dots = points.map(
      ([point, value]) => `<circle cx="${at(x(point))}" cy="${at(y(value))}" r="2.5" fill="${colour}"/>`,
    )
    return [`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`, ...dots]
  }
  return [
    text(left + 8, top + 14, `${panel.title}, ${panel.unit}`, { bold: true }),
    ...ticks.map(tick => line([plotLeft, y(tick)], [plotRight, y(tick)], grid)),
    ...ticks.map(tick => text(plotLeft - 6, y(tick) + 4, number(tick), { anchor: 'end', fill: faint })),
    ...points.map(point => line([x(point), plotBottom], [x(point), plotBottom + 4], faint)),
    ...pointLabels(points, x, plotBottom + 16),
    text((plotLeft + plotRight) / 2, plotBottom + 31, axis, { anchor: 'middle', fill: faint }),
    ...drawn.toReversed().flatMap(curve),
    ...endLabels(drawn, plotRight + 8, y),
  ]
}

const panelWidth = width / 2
const panelHeight = 240

function drawGrowth({ title, axis, panels }: Plot, curves: Curves, measured: Measured<unknown>): string {
  const content = panels.flatMap((panel, i) =>
    drawPanel(panel, curves, axis, [(i % 2) * panelWidth, 26 + Math.floor(i / 2) * panelHeight]),
  )
  const height = 26 + Math.ceil(panels.length / 2) * panelHeight + 18
  const said = panels.flatMap(panel =>
    curvesOf(panel, curves).map(({ label, points }) => {
      const [first, last] = [points[0], points.at(-1)]
      const ends = [first, last].map(spot => `${number(spot?.[1] ?? 0)} ${panel.unit} at ${number(spot?.[0] ?? 0)}`)
      return `${panel.title}, ${label}: ${ends.join(', ')}`
    }),
  )
  return svg(height, title, `Curves over the number of ${axis}. ${said.join('; ')}.`, [
    text(8, 18, title, { bold: true }),
    ...content,
    text(8, height - 8, told(measured), { fill: faint }),
  ])
}

// ---- Files ----

function read<Figures>(file: string): Measured<Figures> {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function write(name: string, content: string): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), content)
  console.log(`wrote ${name}`)
}

if (values.ratios !== undefined) write('ratios.svg', drawRatios(read<Compared>(values.ratios)))
if (values.growth !== undefined) {
  const measured = read<Readonly<Record<string, Curves>>>(values.growth)
  for (const plot of plots) {
    const curves = measured.figures[plot.key]
    if (curves !== undefined) write(`${plot.key}.svg`, drawGrowth(plot, curves, measured))
  }
}
