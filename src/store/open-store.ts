import type { StoreConfig } from '../config/types.ts'
import { openLmdbStore } from './lmdb-store.ts'
import type { Store } from './store.ts'

/** Rejects with `StoreError` when the gate must not start with this store. */
export function openStore(config: StoreConfig): Promise<Store> {
  return openLmdbStore(config.path)
}
