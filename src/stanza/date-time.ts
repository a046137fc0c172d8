const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$/

/** A date and time as XMPP writes them (`2026-11-28T07:00:00Z`) in milliseconds since 1970, whole seconds; `undefined`: it is none. */
export function parseDateTime(text: string): number | undefined {
  const found = form.exec(text)
  if (found === null) return undefined
  const number = (at: number) => Number(found[at] ?? 0)
  const [year, month, day] = [number(1), number(2), number(3)]
  if (month < 1 || month > 12 || day < 1 || day > 31 || number(4) > 24 || number(5) > 59 || number(6) > 60)
    return undefined
  const offset = (found[7] === '-' ? -1 : 1) * (number(8) * 60 + number(9))
  const minutes = (daysSince1970(year, month, day) * 24 + number(4)) * 60 + number(5) - offset
  return (minutes * 60 + number(6)) * 1_000
}

/** Years begin in March here, so that the leap day is the last of a year; 719,468 days lie between March of the year 0 and 1970. */
function daysSince1970(year: number, month: number, day: number): number {
  const since = month > 2 ? year : year - 1
  const leapDays = Math.floor(since / 4) - Math.floor(since / 100) + Math.floor(since / 400)
  return since * 365 + leapDays + Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1 - 719_468
}
