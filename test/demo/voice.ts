/** How the demonstration speaks: plain lines, and colour where somebody looks. */
const colourful = process.stdout.isTTY === true && process.env.NO_COLOR === undefined

const colours = { romeo: 34, juliet: 35, prosody: 33, gate: 32, metrics: 36 } as const
export type Speaker = keyof typeof colours

const widest = Math.max(...Object.keys(colours).map(name => name.length))

/** One line of what somebody does or sees. */
export function tell(speaker: Speaker, line: string): void {
  const name = speaker.padEnd(widest)
  console.log(`  ${colourful ? `\u001b[${colours[speaker]}m${name}\u001b[0m` : name}  ${line}`)
}

export function heading(line: string): void {
  console.log(`\n${colourful ? `\u001b[1m${line}\u001b[0m` : line}`)
}
