/**
 * Certificates that are renewed while the gate serves: their files are looked at every few seconds, and read anew once they have
 * changed. Looking is done by `stat`, which follows every symbolic link on the way: fs.watch sees neither a folder that is swapped by
 * its link, as Kubernetes does, nor what happens on a network's file system.
 */
import type { X509Certificate } from 'node:crypto'
import { type BigIntStats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type BadFile, readCertificates, readPair } from '../config/certificates.ts'
import type { CertificateFiles } from '../config/types.ts'
import type { Pem } from '../transport/tls.ts'

/** Whose files they are. */
export type CertificateOwner = { readonly listener: string } | { readonly upstream: string }

export interface CertificatesOptions {
  /** These are in use from now on: once at the start, and again after each change. */
  loaded(holder: CertificateOwner, certificates: readonly X509Certificate[], isFirst: boolean): void
  /** The new ones are not, and the old ones stay. */
  refused(holder: CertificateOwner, file: string, reason: string): void
  /** Calls back every so many milliseconds, until the function returned is called. Default: a timer. */
  every?(milliseconds: number, callback: () => void): () => void
}

/** Milliseconds between two looks. */
const lookEvery = 5_000

interface WatchedFiles {
  readonly holder: CertificateOwner
  readonly files: readonly string[]
  /** Reads them, and puts them to use. */
  take(): readonly X509Certificate[] | BadFile
  /** What the files looked like when they were last read, and at the last look. */
  taken: string
  seen: string
}

export class Certificates {
  private readonly options: CertificatesOptions
  private readonly kept: WatchedFiles[] = []
  private readonly part: () => void
  private looking = false

  constructor(options: CertificatesOptions) {
    this.options = options
    this.part = (options.every ?? timer)(lookEvery, () => void this.look())
  }

  /** A listener's chain and key; those that are there later go to `renew`. Throws when they cannot be used. */
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

  /** The same of the authorities, as PEM, that an upstream's certificate is checked against. */
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

  /** Looks once. Files that differ from those in use are read when two looks have seen them alike: nobody is writing them. */
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

  /** Reads all anew, whatever they look like. */
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

/** To be taken before the files are read: what changes in between differs at the next look. */
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
  // It keeps nothing alive by itself.
  interval.unref()
  return () => clearInterval(interval)
}
