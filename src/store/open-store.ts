import type { StoreConfig } from '../config/types.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { openRedisStore } from './redis-store.ts'
import type { Store } from './store.ts'

/** Rejects with `StoreError` when the gate must not start with this store. */
export function openStore({ at }: StoreConfig): Promise<Store> {
  return 'path' in at ? openLmdbStore(at.path) : openRedisStore(at.redis)
}
