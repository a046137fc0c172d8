/**
 * Certificates that are renewed while the gate runs. Their files are looked at every few seconds, and read again when they have
 * changed. `stat` is used, which follows every symbolic link on the way. fs.watch would notice neither a folder that is exchanged
 * by its link, as Kubernetes does, nor changes on a network file system.
 */
import type { X509Certificate } from 'node:crypto'
import { type BigIntStats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type BadFile, readCertificates, readPair } from '../config/certificates.ts'
import type { CertificateFiles } from '../config/types.ts'
import type { Pem } from '../transport/tls.ts'

/** Which part of the configuration names the files. */
export type CertificateOwner = { readonly listener: string } | { readonly upstream: string }

export interface CertificatesOptions {
  /** These certificates are in use now. Called once at the start and again after each change. */
  loaded(holder: CertificateOwner, certificates: readonly X509Certificate[], isFirst: boolean): void
  /** The new certificate cannot be used; the one before stays in use. */
  refused(holder: CertificateOwner, file: string, reason: string): void
  /** Calls back every so many milliseconds, until the function returned is called. Default: a timer. */
  every?(milliseconds: number, callback: () => void): () => void
}

/** Milliseconds between two checks of the files. */
const lookEvery = 5_000

interface WatchedFiles {
  readonly holder: CertificateOwner
  readonly files: readonly string[]
  /** Reads the files and puts the certificates to use. */
  take(): readonly X509Certificate[] | BadFile
  /** The identity and times of the files when they were last read, and at the last check. */
  taken: string
  seen: string
}

export class Certificates {
  private readonly options: CertificatesOptions
  private kept: WatchedFiles[] = []
  private readonly part: () => void
  private looking = false

  constructor(options: CertificatesOptions) {
    this.options = options
    this.part = (options.every ?? timer)(lookEvery, () => void this.look())
  }

  /** Reads a listener's chain and key. Later ones go to `renew`. Throws when they cannot be used. */
  keep(listener: string, { cert, key }: CertificateFiles, renew: (pem: Pem) => void): Pem {
    const files = [cert, key]
    const likeness = likenessNow(files)
    const first = usable(readPair(cert, key))
    this.begin({ listener }, files, likeness, first.certificates, () => {
      const read = readPair(cert, key)
      if ('flaw' in read) return read
      renew(read)
      return read.certificates
    })
    return first
  }

  /**
   * Reads the authorities (PEM) that an upstream's certificate is checked against. Later ones go to `renew`. Throws when they
   * cannot be used.
   */
  keepAuthorities(upstream: string, file: string, renew: (ca: string) => void): string {
    const likeness = likenessNow([file])
    const first = usable(readCertificates(file))
    this.begin({ upstream }, [file], likeness, first.certificates, () => {
      const read = readCertificates(file)
      if ('flaw' in read) return read
      renew(read.cert)
      return read.certificates
    })
    return first.cert
  }

  /** The authorities of all upstreams are looked after no longer. */
  dropAuthorities(): void {
    this.kept = this.kept.filter(({ holder }) => 'listener' in holder)
  }

  /** Checks all files once. Changed files are read when two checks in a row have found them alike, so that nobody is still writing them. */
  async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    for (const each of this.kept) {
      const seen = await likenessOf(each.files)
      const isSettled = seen === each.seen
      each.seen = seen
      if (isSettled && seen !== each.taken) this.take(each, seen)
    }
    this.looking = false
  }

  /** Reads all files again, changed or not. */
  async reload(): Promise<void> {
    for (const each of this.kept) this.take(each, await likenessOf(each.files))
  }

  stop(): void {
    this.part()
  }

  private begin(
    holder: CertificateOwner,
    files: readonly string[],
    likeness: string,
    certificates: readonly X509Certificate[],
    take: WatchedFiles['take'],
  ): void {
    this.kept.push({ holder, files, take, taken: likeness, seen: likeness })
    this.options.loaded(holder, certificates, true)
  }

  private take(kept: WatchedFiles, seen: string): void {
    kept.taken = seen
    kept.seen = seen
    const taken = kept.take()
    if ('flaw' in taken) this.options.refused(kept.holder, taken.file, taken.flaw[0])
    else this.options.loaded(kept.holder, taken, false)
  }
}

function usable<T extends object>(read: T | BadFile): T {
  if ('flaw' in read) throw new Error(`${read.file} ${read.flaw[0]}; ${read.flaw[1]}`)
  return read
}

/** Taken before the files are read, so that a change in between is noticed at the next check. */
function likenessNow(files: readonly string[]): string {
  return files.map(file => shown(statSync(file, { bigint: true, throwIfNoEntry: false }))).join()
}

/** Differs when a file was written, replaced, linked elsewhere, or given other permissions. */
async function likenessOf(files: readonly string[]): Promise<string> {
  const seen = files.map(file => stat(file, { bigint: true }).then(shown, error => String(error.code)))
  return (await Promise.all(seen)).join()
}

function shown(stats: BigIntStats | undefined): string {
  if (stats === undefined) return 'ENOENT'
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

function timer(milliseconds: number, callback: () => void): () => void {
  const interval = setInterval(callback, milliseconds)
  // This timer alone does not keep the process running.
  interval.unref()
  return () => clearInterval(interval)
}
