/** Turns the schema's errors into messages for operators; descriptions and examples come from the schema itself. */
import type { DefinedError } from 'ajv'
import { didYouMean } from './problem.ts'
import { join, type Source } from './source.ts'
import type { Flaw } from './source-text.ts'

/** The parts of a schema that are used here. */
export interface Annotated {
  readonly $ref?: string
  readonly description?: string
  readonly examples?: readonly unknown[]
  readonly type?: string
  readonly properties?: Readonly<Record<string, Annotated>>
  readonly oneOf?: readonly Annotated[]
  readonly discriminator?: { readonly propertyName: string }
  readonly const?: string
  readonly enum?: readonly string[]
}

interface Explanation {
  readonly pointer: string
  readonly message: string
  readonly remedy: string
}

/** What one error of ajv (with `verbose`) says of which part of the source. */
export function explain(
  error: DefinedError,
  source: Source,
  definitions: Readonly<Record<string, Annotated>>,
): Explanation {
  const at = error.instancePath
  const schema = (error.parentSchema ?? {}) as Annotated
  const about = (pointer: string, [message, remedy]: Flaw) => ({ pointer, message, remedy })
  switch (error.keyword) {
    case 'required': {
      const name = error.params.missingProperty
      const words = name === schema.discriminator?.propertyName ? tagWords(schema) : []
      const property = schema.properties?.[name]
      const described = definitions[property?.$ref?.replace('#/definitions/', '') ?? ''] ?? property
      return about(join(at, name), missing(described?.description, words))
    }
    case 'discriminator':
      return about(join(at, error.params.tag), choice(join(at, error.params.tag), tagWords(schema), source))
    case 'enum':
      return about(at, choice(at, schema.enum ?? [], source))
    case 'additionalProperties': {
      const name = error.params.additionalProperty
      return about(
        join(at, name),
        unknownKey(name, Object.keys(schema.properties ?? {}), source.text(join(at, 'mode'))),
      )
    }
    case 'propertyNames':
      return about(join(at, error.params.propertyName), misfit('the key', definitions.name))
    case 'minItems':
    case 'minProperties':
      return about(at, ['is empty', `write ${schema.description}`])
    default:
      // The error behind a 'propertyNames' belongs to the key and is reported with it.
      if (error.propertyName !== undefined) return about(join(at, error.propertyName), misfit('the key', schema))
      return about(at, value(at, schema, source))
  }
}

function missing(description: string | undefined, words: readonly string[]): Flaw {
  return ['is missing', words.length > 0 ? `write one of ${words.join(', ')}` : `add ${description}`]
}

/** The words that tell a union's cases apart. */
function tagWords(schema: Annotated): string[] {
  const tag = schema.discriminator?.propertyName ?? ''
  return (schema.oneOf ?? []).flatMap(({ properties }) => properties?.[tag]?.enum ?? properties?.[tag]?.const ?? [])
}

function choice(pointer: string, words: readonly string[], source: Source): Flaw {
  const place = source.place(pointer)
  if (place === undefined) return missing(undefined, words)
  const written = String(place.written)
  // YAML 1.1 and many a program take these words for one another.
  const meant = offWords.includes(written.toLowerCase())
    ? words.find(word => offWords.includes(word))
    : onWords.includes(written.toLowerCase())
      ? words.find(word => onWords.includes(word))
      : undefined
  const remedy = meant === undefined ? didYouMean(written, words, 'write one of them') : `did you mean '${meant}'?`
  return [`${source.shown(pointer)} is not one of ${words.join(', ')}`, remedy]
}

const offWords = ['false', 'off', 'no', 'none', 'silent', 'null']
const onWords = ['true', 'on', 'yes', 'enforce', 'starttls', 'info']

function unknownKey(name: string, known: readonly string[], mode: string | undefined): Flaw {
  if (name === '<<') return ['merge keys are not supported', 'write the keys out']
  if (mode === 'none' && tlsKeys.includes(name))
    return [`has no meaning with mode 'none'`, 'remove it, or set mode to starttls or direct']
  const word = /^\w+/.exec(name)?.[0] ?? ''
  if (known.includes(word) && name.startsWith(`${word}:`))
    return ["lacks a space behind the ':'", `write '${word}: ...'`]
  return ['is not a known key', didYouMean(name, known, `known are ${known.join(', ')}`)]
}

/** What is known in the other modes. */
const tlsKeys = ['cert', 'key', 'ca', 'servername']

function value(pointer: string, schema: Annotated, source: Source): Flaw {
  const written = source.place(pointer)?.written
  if (written === null) return ['has no value', `write ${schema.description}, or remove it`]
  const isContainer = schema.type === 'object' || schema.type === 'array'
  // A text in the place of a map is not shown: it may be a secret.
  if (isContainer) {
    const shown = typeof written === 'string' ? 'a text' : source.shown(pointer)
    return [
      `${shown} is not ${schema.description}`,
      schema.type === 'array' ? "write '- ' entries" : "write 'key: value' entries",
    ]
  }
  const flaw = misfit(source.shown(pointer), schema)
  if (schema.type === 'string' && typeof written === 'number') return [flaw[0], 'write it in quotes']
  if (schema.type === 'integer' && typeof written === 'string') {
    if (/^\d+$/.test(written)) return [flaw[0], 'write it without quotes']
    if (written.startsWith('$')) return [flaw[0], 'write the number: a variable stands for a text alone']
  }
  return flaw
}

function misfit(shown: string, schema: Annotated | undefined): Flaw {
  const example = schema?.examples?.[0]
  return [`${shown} is not ${schema?.description}`, `write for example ${example}`]
}
