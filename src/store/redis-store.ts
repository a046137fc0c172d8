/**
 * A store in Redis or Valkey, for gates on several machines. A record is a hash with the record's name; Redis forgets it by itself. What is
 * kept through a failure of Redis is a matter of its own configuration (`appendonly`).
 */
import { randomUUID } from 'node:crypto'
import type { ChainableCommander, Redis } from 'ioredis'
import type { Fields } from '../account/account-record.ts'
import {
  formatWith,
  type RecordChange,
  refuseOtherKey,
  type Store,
  type StoreChannel,
  StoreError,
  storeFormat,
} from './store.ts'
import type { StoreKey } from './store-key.ts'

const prefix = 'stanzagate:'
const formatKey = `${prefix}format`
/** Holds the `StoreKey.check` of the key that the store is written with. Without a key it is not there. */
const checkKey = `${prefix}key`
const secondsOfDay = 86_400

/** Milliseconds. A gate that cannot reach Redis at its start goes on without it meanwhile. */
const times = { connect: 2_000, command: 2_000, retryAtMost: 5_000 } as const

/**
 * Changes a hash, if its field ARGV[1] has one of the texts. ARGV: the field's name, the number of texts (0: any), the texts, 1 for a
 * whole record, its end in seconds since 1970, the number of fields to set, names and texts of these, names of fields to remove.
 */
const changeScript = `
local at = 3
local isFit = ARGV[2] == '0'
if not isFit then
  local text = redis.call('HGET', KEYS[1], ARGV[1])
  for i = 1, tonumber(ARGV[2]) do
    if text == ARGV[at + i - 1] then isFit = true end
  end
end
if not isFit then return 0 end
at = at + tonumber(ARGV[2])
if ARGV[at] == '1' then redis.call('DEL', KEYS[1]) end
local last = ARGV[at + 1]
local sets = tonumber(ARGV[at + 2])
at = at + 3
for i = 1, sets do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('EXPIREAT', KEYS[1], last)
return 1
`

/** What `defineCommand` makes of the script. */
type WithChange = { stanzagateChange(key: string, ...values: readonly string[]): ChainableCommander }

/**
 * Connects to the Redis of this URL (`redis://` or `rediss://`). Rejects with `StoreError` when what is there is of a newer version, or of
 * another program, and with `StoreKeyError` when it was not written with this key; `key`: left out: without one. While it cannot be reached, it resolves, and calls fail until it can.
 */
export async function openRedisStore(url: string, key?: StoreKey): Promise<Store> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: times.connect,
    commandTimeout: times.command,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: attempt => Math.min(100 * 2 ** attempt, times.retryAtMost),
  })
  const store = new RedisStore(redis, placeOf(url), key)
  try {
    await redis.connect()
    await store.checked()
  } catch (error) {
    if (!(error instanceof StoreError)) return store
    redis.disconnect()
    throw error
  }
  return store
}

class RedisStore implements Store {
  readonly place: string
  readonly channel: RedisChannel
  private readonly redis: Redis
  private readonly key: StoreKey | undefined
  /** Why the connection was lost, or does not come about. */
  private reason: Error | undefined
  private isChecked = false

  constructor(redis: Redis, place: string, key: StoreKey | undefined) {
    this.redis = redis
    this.key = key
    this.place = place
    this.channel = new RedisChannel(redis)
    redis.defineCommand('stanzagateChange', { numberOfKeys: 1, lua: changeScript })
    redis.on('error', error => {
      this.reason = error
    })
    // Another Redis may be there after a failover.
    redis.on('close', () => {
      this.isChecked = false
    })
  }

  /** Throws `StoreError` when what is there is not to be used. */
  async checked(): Promise<void> {
    if (this.isChecked) return
    const { place, redis } = this
    // ioredis goes on with database 0 where the one that was named is not there.
    await this.ask(redis.select(redis.options.db ?? 0)).catch(error => {
      if (!/index is out of range/.test(String(error))) throw error
      throw new StoreError(`${place} is a database that this Redis does not have`, 'name another one in store.redis')
    })
    await this.ask(redis.setnx(formatKey, formatWith(this.key)))
    const format = await this.ask(redis.get(formatKey)).catch(error => {
      if (/^ReplyError: WRONGTYPE/.test(String(error))) return ''
      throw error
    })
    if (format === null || !/^[1-9]\d*$/.test(format))
      throw new StoreError(
        `${place} holds a key ${formatKey} of another program`,
        'name another database in store.redis',
      )
    if (Number(format) > storeFormat) {
      const message = `${place} is of a newer version of Stanzagate (format ${format}; this one knows ${storeFormat})`
      throw new StoreError(message, 'start that version, or name another database in store.redis')
    }
    await this.checkKey(Number(format))
    this.isChecked = true
  }

  private async checkKey(format: number): Promise<void> {
    const { key, place, redis } = this
    // The first gate that has a key decides which one it is.
    if (key !== undefined && format === formatWith(key)) await this.ask(redis.setnx(checkKey, key.check))
    const check = (await this.ask(redis.get(checkKey))) ?? undefined
    refuseOtherKey(place, key, { format, check }, 'name another database in store.redis')
  }

  async load(record: string): Promise<Fields> {
    await this.checked()
    return new Map(Object.entries(await this.ask(this.redis.hgetall(prefix + record))))
  }

  async save(changes: readonly RecordChange[]): Promise<readonly string[]> {
    await this.checked()
    const pipeline = this.redis.pipeline() as ChainableCommander & WithChange
    for (const change of changes) pipeline.stanzagateChange(prefix + change.record, ...argumentsOf(change))
    // It may have been flushed since the connection began.
    pipeline.setnx(formatKey, formatWith(this.key))
    if (this.key !== undefined) pipeline.setnx(checkKey, this.key.check)
    const answers = (await this.ask(pipeline.exec())) ?? []
    const failed = answers.find(([error]) => error !== null)?.[0]
    if (failed) throw this.reasonOf(failed)
    return changes.filter((_, index) => answers[index]?.[1] === 0).map(({ record }) => record)
  }

  /** Redis does it by itself. */
  async forgetBefore(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    this.channel.close()
    this.redis.disconnect()
  }

  /** ioredis says of a connection that is lost only that it cannot write: the reason is what is worth telling. */
  private async ask<Answer>(answer: Promise<Answer>): Promise<Answer> {
    try {
      return await answer
    } catch (error) {
      throw this.reasonOf(error)
    }
  }

  private reasonOf(error: unknown): unknown {
    // What has timed out still waits to be sent, and would be sent with all that is asked again: another connection begins with nothing.
    if (/Command timed out/.test(String(error))) this.redis.disconnect(true)
    else if (this.redis.status !== 'ready' && this.reason !== undefined) return this.reason
    return error
  }
}

/** Pub/Sub. A connection that listens can do nothing else, so it has one of its own. */
class RedisChannel implements StoreChannel {
  private readonly redis: Redis
  /** Channels belong to no database: each has its own, as gates of another one are strangers. */
  private readonly name: string
  private readonly own = `${randomUUID()} `
  private listener: Redis | undefined

  constructor(redis: Redis) {
    this.redis = redis
    this.name = `${prefix}news:${redis.options.db ?? 0}`
  }

  tell(text: string): void {
    this.redis.publish(this.name, this.own + text).catch(() => {})
  }

  /** Listens again after each loss of the connection. */
  listen(hear: (text: string) => void): void {
    const listener = this.redis.duplicate({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: undefined,
    })
    this.listener = listener
    listener.on('error', () => {})
    listener.on('message', (_channel, text: string) => {
      if (!text.startsWith(this.own)) hear(text.slice(text.indexOf(' ') + 1))
    })
    listener.subscribe(this.name).catch(() => {})
  }

  close(): void {
    this.listener?.disconnect()
  }
}

function argumentsOf({ fields, isWhole, expects, until }: RecordChange): string[] {
  const texts = expects?.texts ?? []
  const set: string[] = []
  const removed: string[] = []
  for (const [name, text] of fields) {
    if (text === undefined) removed.push(name)
    else set.push(name, text)
  }
  const end = (until + 1) * secondsOfDay
  const head = [expects?.name ?? '', String(texts.length), ...texts, isWhole ? '1' : '0', String(end)]
  return [...head, String(set.length / 2), ...set, ...removed]
}

/** The URL without what may be secret in it. */
function placeOf(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
