/** The call is wrong; the message says how. */
export class CallError extends Error {}

/** The value of a variable of the environment. Throws `CallError` when it is not set. */
export function fromEnvironment(name: string, environment: Readonly<Record<string, string | undefined>>): string {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value === undefined || value === '') throw new CallError(`the variable ${name} is not set`)
  return value
}
