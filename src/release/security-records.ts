/** What is known of a stream's security in its build store (`security/`): the last look for advisories, and the fixes that were released. */
import { join } from 'node:path';
import { z } from 'zod';
import type { ReleasedFix, WatchRecord } from '../domain/security.js';
import { readJson, type Store } from '../store/store.js';

const file = (store: Store, stream: string, name: string) => join(store.streamDir(stream), 'security', name);

/** Undefined before the first look. */
export const readWatch = (store: Store, stream: string): Promise<WatchRecord | undefined> =>
  readJson(file(store, stream, 'watch.json'), z.custom<WatchRecord>());

/** Fixes that releases have brought, oldest first. */
export const readFixes = async (store: Store, stream: string): Promise<readonly ReleasedFix[]> =>
  (await readJson(file(store, stream, 'fixes.json'), z.custom<readonly ReleasedFix[]>())) ?? [];
