/** What the last look for advisories found: `store/<stream>/security/watch.json`. */
import { join } from 'node:path';
import { z } from 'zod';
import { bySeverity, verdicts, type Considered, type Verdict } from '../domain/security.js';
import { readJson, writeJson, type Store } from './store.js';

const about = { name: z.string(), released: z.string() };
const considered = z.object({
  id: z.string(),
  title: z.string(),
  severity: z.enum(bySeverity),
  cves: z.array(z.string()),
  issued: z.string().optional(),
  source: z.string(),
  verdict: z.enum(verdicts),
  reason: z.string(),
  affected: z.array(
    z.discriminatedUnion('state', [
      z.object({ ...about, state: z.literal('lacks'), fixed: z.string() }),
      z.object({ ...about, state: z.literal('unfixed'), why: z.string() }),
      z.object({ ...about, state: z.literal('unclear'), why: z.string() }),
    ]),
  ),
});
export const watchRecord = z.object({
  /** ISO 8601, UTC. */
  looked: z.string(),
  /** The release that it was compared with. */
  release: z.string(),
  /** All that leaves something open in the release, and the newest of the others; newest first. */
  considered: z.array(considered),
  /** Sources that could not be read: one line each. */
  failed: z.array(z.string()),
});
export type WatchRecord = z.infer<typeof watchRecord>;

/** Of those that leave nothing open. */
const kept = 2000;

const watchFile = (store: Store, stream: string) => join(store.security(stream), 'watch.json');

/** Undefined before the first look. */
export const readWatch = (store: Store, stream: string): Promise<WatchRecord | undefined> =>
  readJson(watchFile(store, stream), watchRecord);

const isLeft = ({ affected, verdict }: Considered) => affected.length > 0 || verdict === 'unclear';

export async function writeWatch(
  store: Store,
  stream: string,
  record: Omit<WatchRecord, 'considered'> & { readonly considered: readonly Considered[] },
): Promise<void> {
  const newest = [...record.considered].sort((a, b) => ((a.issued ?? '') < (b.issued ?? '') ? 1 : -1));
  const others = new Set(newest.filter((one) => !isLeft(one)).slice(0, kept));
  const all = newest.filter((one) => isLeft(one) || others.has(one));
  await writeJson(watchFile(store, stream), { ...record, considered: all });
}

const toldVerdicts = z.record(z.string(), z.enum(verdicts));
const toldFile = (store: Store, stream: string) => join(store.security(stream), 'told-verdicts.json');

/** By advisory: the verdict that the security group was last told. */
export const readToldVerdicts = async (store: Store, stream: string): Promise<Record<string, Verdict>> =>
  (await readJson(toldFile(store, stream), toldVerdicts)) ?? {};

export const writeToldVerdicts = (
  store: Store,
  stream: string,
  told: Readonly<Record<string, Verdict>>,
): Promise<void> => writeJson(toldFile(store, stream), told);
