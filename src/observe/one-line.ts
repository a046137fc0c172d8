/** Text of peers as a part of one line. */

const steering = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** JSON as one line, also for terminals and for programs that end a line at more characters than JSON does. */
export function oneLine(json: string): string {
  return json.replace(steering, escaped)
}

/** A character beyond the first plane is two in JSON. */
function escaped(character: string): string {
  return character.replace(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
