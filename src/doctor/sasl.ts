/** A client's half of SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677), without channel binding. Pure but for the nonce, which is given. */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'

/** The exchange after the first message; each step answers one challenge. */
export interface Exchange {
  readonly mechanism: string
  readonly first: Buffer
  /** The next message. Throws `SaslError` when the server's makes no sense or is not signed by one who knows the password. */
  answer(challenge: Buffer): Buffer
  /** Checks what comes with the success. Throws as `answer` does. */
  finish(last: Buffer): void
  /** The server signs the list of mechanisms that it has offered (XEP-0474). */
  readonly signsOffer: boolean
  /** What the server says of its TLS in the challenge (XEP-0515); `undefined`: nothing. */
  readonly tlsSaid: string | undefined
}

export class SaslError extends Error {}

/** From the strongest; those that stand in the way of an ordinary password are not tried. */
const hashes: readonly (readonly [mechanism: string, hash: string])[] = [
  ['SCRAM-SHA-512', 'sha512'],
  ['SCRAM-SHA-256', 'sha256'],
  ['SCRAM-SHA-1', 'sha1'],
]

/** The strongest exchange that is offered; `undefined`: none that the doctor speaks. */
export function exchangeFor(
  offered: readonly string[],
  user: string,
  password: string,
  nonce: string,
): Exchange | undefined {
  const found = hashes.find(([mechanism]) => offered.includes(mechanism))
  if (found !== undefined) return new Scram(found[0], found[1], user, password, nonce)
  return offered.includes('PLAIN') ? plain(user, password) : undefined
}

function plain(user: string, password: string): Exchange {
  return {
    mechanism: 'PLAIN',
    signsOffer: false,
    tlsSaid: undefined,
    first: Buffer.from(`\0${user}\0${password}`),
    answer: () => {
      throw new SaslError('asks more than PLAIN has to say')
    },
    finish: () => {},
  }
}

/** More would keep this process busy for minutes; servers have some ten thousand. */
const iterationsAtMost = 10_000_000

class Scram implements Exchange {
  readonly mechanism: string
  readonly first: Buffer
  signsOffer = false
  tlsSaid: string | undefined
  private readonly hash: string
  private readonly password: string
  private readonly nonce: string
  private readonly firstBare: string
  private expected: Buffer | undefined
  private signed = false

  constructor(mechanism: string, hash: string, user: string, password: string, nonce: string) {
    this.mechanism = mechanism
    this.hash = hash
    this.password = password.normalize('NFKC')
    this.nonce = nonce
    const name = user.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C')
    this.firstBare = `n=${name},r=${nonce}`
    this.first = Buffer.from(`n,,${this.firstBare}`)
  }

  answer(challenge: Buffer): Buffer {
    if (this.expected !== undefined) {
      // Some servers send their signature as a challenge of its own.
      this.finish(challenge)
      return Buffer.alloc(0)
    }
    const serverFirst = challenge.toString()
    const { r = '', s = '', i = '', h, d, t } = attributesOf(serverFirst)
    const iterations = Number(i)
    if (!r.startsWith(this.nonce) || r === this.nonce || s === '') throw new SaslError('sends no SCRAM challenge')
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > iterationsAtMost)
      throw new SaslError(`asks for ${i} iterations`)
    this.signsOffer = h !== undefined || d !== undefined
    this.tlsSaid = t?.slice(0, 40)
    const withoutProof = `c=${Buffer.from('n,,').toString('base64')},r=${r}`
    const message = `${this.firstBare},${serverFirst},${withoutProof}`
    const length = createHash(this.hash).digest().length
    const salted = pbkdf2Sync(this.password, Buffer.from(s, 'base64'), iterations, length, this.hash)
    const key = this.hmac(salted, 'Client Key')
    const signature = this.hmac(createHash(this.hash).update(key).digest(), message)
    const proof = key.map((byte, index) => byte ^ (signature[index] ?? 0))
    this.expected = this.hmac(this.hmac(salted, 'Server Key'), message)
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)
  }

  finish(last: Buffer): void {
    if (this.signed && last.length === 0) return
    const { v = '' } = attributesOf(last.toString())
    const signature = Buffer.from(v, 'base64')
    const { expected } = this
    if (expected === undefined || signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new SaslError('cannot prove that it knows the password')
    this.signed = true
  }

  private hmac(key: Buffer, text: string): Buffer {
    return createHmac(this.hash, key).update(text).digest()
  }
}

function attributesOf(message: string): Readonly<Record<string, string>> {
  return Object.fromEntries(message.split(',').map(part => [part.slice(0, 1), part.slice(2)]))
}
