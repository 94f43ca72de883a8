/** What the last look for advisories found: `store/<stream>/security/watch.json`. */
import { join } from 'node:path';
import { z } from 'zod';
import { severities, type Considered } from '../domain/security.js';
import { readJson, writeJson, type Store } from '../store/store.js';

const considered = z.object({
  id: z.string(),
  title: z.string(),
  severity: z.enum(severities),
  cves: z.array(z.string()),
  issued: z.string().optional(),
  source: z.string(),
  verdict: z.enum(['acted', 'fixed', 'absent', 'below', 'not-core']),
  reason: z.string(),
  lacking: z.array(z.object({ name: z.string(), released: z.string(), fixed: z.string() })),
});
export const watchRecord = z.object({
  /** ISO 8601, UTC. */
  looked: z.string(),
  /** The release that it was compared with. */
  release: z.string(),
  /** All that the release lacks, and the newest of the others; newest first. */
  considered: z.array(considered),
  /** Sources that could not be read: one line each. */
  failed: z.array(z.string()),
});
export type WatchRecord = z.infer<typeof watchRecord>;

/** Of those that the release does not lack. */
const kept = 2000;

const watchFile = (store: Store, stream: string) => join(store.security(stream), 'watch.json');

/** Undefined before the first look. */
export const readWatch = (store: Store, stream: string): Promise<WatchRecord | undefined> =>
  readJson(watchFile(store, stream), watchRecord);

export async function writeWatch(
  store: Store,
  stream: string,
  record: Omit<WatchRecord, 'considered'> & { readonly considered: readonly Considered[] },
): Promise<void> {
  const newest = [...record.considered].sort((a, b) => ((a.issued ?? '') < (b.issued ?? '') ? 1 : -1));
  const others = new Set(newest.filter(({ lacking }) => lacking.length === 0).slice(0, kept));
  const all = newest.filter((one) => one.lacking.length > 0 || others.has(one));
  await writeJson(watchFile(store, stream), { ...record, considered: all });
}
