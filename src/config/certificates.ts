/** Checks PEM files: that they exist, are complete and belong to each other, so that this is found before the first handshake. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { serverTls } from '../transport/tls.ts'
import { type Flaw, fileFlaw } from './source-text.ts'

/** What is wrong with a file of one or more certificates. */
export function certificatesFlaw(file: string): Flaw | undefined {
  const read = readPem(file, certificatesOf)
  return 'flaw' in read ? read.flaw : undefined
}

/** What is wrong with a file of a private key. */
export function keyFlaw(file: string): Flaw | undefined {
  const read = readPem(file, keyOf)
  return 'flaw' in read ? read.flaw : undefined
}

/** What is wrong with two files that are each good. */
export function pairFlaw(certFile: string, keyFile: string): Flaw | undefined {
  const read = readPair(certFile, keyFile)
  return 'flaw' in read && read.between ? read.flaw : undefined
}

/** A chain and its key, read at one time and found to belong together. */
export interface Pair {
  readonly cert: string
  readonly key: string
  /** The chain, the server's own certificate first. */
  readonly certificates: readonly X509Certificate[]
}

/** A file that cannot be used; `between`: it is good by itself, and not the other's partner. */
export interface BadFile {
  readonly file: string
  readonly flaw: Flaw
  readonly between: boolean
}

export function readPair(certFile: string, keyFile: string): Pair | BadFile {
  const cert = readPem(certFile, certificatesOf)
  if ('flaw' in cert) return { file: certFile, flaw: cert.flaw, between: false }
  const key = readPem(keyFile, keyOf)
  if ('flaw' in key) return { file: keyFile, flaw: key.flaw, between: false }
  const bad = (flaw: Flaw) => ({ file: keyFile, flaw, between: true })
  if (cert.value[0]?.checkPrivateKey(key.value) !== true) return bad(notThePair)
  try {
    // Anything else is a requirement of OpenSSL, such as the length of keys.
    createSecureContext(serverTls({ cert: cert.text, key: key.text }))
    return { cert: cert.text, key: key.text, certificates: cert.value }
  } catch (error) {
    return bad([`is refused by OpenSSL (${reasonOf(error)})`, 'have key and certificate made again'])
  }
}

/** The text of a file of certificates. */
export function readCertificates(file: string): Pick<Pair, 'cert' | 'certificates'> | BadFile {
  const read = readPem(file, certificatesOf)
  if ('flaw' in read) return { file, flaw: read.flaw, between: false }
  return { cert: read.text, certificates: read.value }
}

const notThePair: Flaw = [
  'is not the key of the first certificate in cert',
  "use the key that it was made with, and put the server's own certificate first",
]

type Pem<T> = { readonly text: string; readonly value: T } | { readonly flaw: Flaw }

function readPem<T>(file: string, parse: (text: string) => T | Flaw): Pem<T> {
  let text: string
  try {
    text = readFileSync(file, 'latin1')
  } catch (error) {
    const [message, remedy] = fileFlaw(error)
    return { flaw: [message, `${remedy}; a relative path starts at the folder of the configuration file`] }
  }
  const value = parse(text)
  return isFlaw(value) ? { flaw: value } : { text, value }
}

function isFlaw(value: unknown): value is Flaw {
  return Array.isArray(value) && typeof value[0] === 'string'
}

function certificatesOf(text: string): readonly X509Certificate[] | Flaw {
  const blocks = text.match(
    /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (TRUSTED |X509 )?CERTIFICATE-----/g,
  )
  if (blocks === null) {
    return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)
      ? ['holds a key and no certificate', 'name the certificate; the key has its own place']
      : ['is not PEM: it has no BEGIN CERTIFICATE line with its END', 'name a PEM file']
  }
  const certificates: X509Certificate[] = []
  for (const block of blocks) {
    try {
      certificates.push(new X509Certificate(block))
    } catch {
      // OpenSSL's message is about ASN.1 and helps nobody.
      return [`cannot be read: certificate ${certificates.length + 1} in it is damaged`, 'copy it again']
    }
  }
  return certificates
}

function keyOf(text: string): KeyObject | Flaw {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    return /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(text)
      ? ['holds a certificate and no key', 'name the key; the certificate has its own place']
      : ['is not PEM: it has no BEGIN PRIVATE KEY line', 'name a PEM file']
  }
  // The header says so, in PKCS #8 and before it; what Node says of such a key depends on its OpenSSL.
  if (/-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    return ['is encrypted', 'write it without a passphrase: openssl pkey -in key.pem -out plain.pem']
  }
  try {
    return createPrivateKey(text)
  } catch {
    return ['cannot be read: the key in it is damaged', 'copy it again']
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^error:[0-9A-F]+:/, '') : String(error)
}
