/** What peers have written, as a part of one line. */

const steering = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** A line of JSON, which is one also for a terminal, and for whoever takes other characters than JSON does for the end of a line. */
export function oneLine(json: string): string {
  return json.replace(steering, escaped)
}

/** A character beyond the first plane is two in JSON. */
function escaped(character: string): string {
  return character.replace(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
