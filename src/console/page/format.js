/** Words and numbers as the page shows them. */
const numbers = new Intl.NumberFormat('en-GB')

export function count(value) {
  return numbers.format(value ?? 0)
}

/** What a peer has written may hold characters that turn the line round, or that nobody sees: they are shown by their number. */
export function plain(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, sign => {
    const code = sign.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')
    return `‹U+${code}›`
  })
}

const two = number => String(number).padStart(2, '0')

export function clock(iso) {
  const at = new Date(iso)
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

export function dateAndTime(iso) {
  const at = new Date(iso)
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(iso)}`
}

/** Two units of a length of time, no more. */
export function duration(seconds) {
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  const first = units.findIndex(([length]) => seconds >= length)
  if (first === -1) return '0 s'
  const [big, small] = [units[first], units[first + 1]]
  const whole = Math.floor(seconds / big[0])
  const rest = small === undefined ? 0 : Math.floor((seconds % big[0]) / small[0])
  return rest === 0 ? `${whole} ${big[1]}` : `${whole} ${big[1]} ${rest} ${small[1]}`
}

export function since(iso) {
  return duration(Math.max(0, Math.floor((Date.now() - Date.parse(iso)) / 1_000)))
}
