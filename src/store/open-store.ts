import type { StoreConfig } from '../config/types.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { openRedisStore } from './redis-store.ts'
import { NoPlaceError, type Store } from './store.ts'
import { StoreKey } from './store-key.ts'

/**
 * Rejects with `StoreError` when the gate must not start with this store. Gives the error where nothing can be kept at a place that nobody has
 * chosen: the gate then keeps nothing, as it did before there were stores.
 */
export async function openStore(config: StoreConfig): Promise<Store | NoPlaceError> {
  const { at, hash } = config
  const key = hash === undefined ? undefined : new StoreKey(hash)
  if ('redis' in at) return openRedisStore(at.redis, key)
  try {
    return await openLmdbStore(at.path, key)
  } catch (error) {
    if (config.isDefault === true && error instanceof NoPlaceError) return error
    throw error
  }
}
