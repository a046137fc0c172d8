/** A test's patience: long enough for a busy machine, short enough that one lost stanza does not hold up a whole run. Milliseconds. */
export const patience = 20_000

/** The promise's value, or an error that says what was awaited in vain. */
export async function within<Value>(what: string, promise: Promise<Value>, limit = patience): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limit} ms`)), limit)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
