/** The record `fix.json` of a run that builds for a security case. */
import { join } from 'node:path';
import { z } from 'zod';
import { repoCredentials } from '../domain/repos.js';
import { readJson, type Run, type Store } from './store.js';

export const fixRecord = z.object({
  /** Id of the case. */
  case: z.string(),
  /** The release that it is made from. */
  base: z.string(),
  attempt: z.int(),
  /** Are packages rebuilt and signed? */
  rebuilds: z.boolean(),
  /** What fixes are taken from: the stream's repos as they were when the run began. */
  repos: z.array(
    z.object({
      ...{ id: z.string(), baseurl: z.string(), gpgKeys: z.array(z.string()), metadataSigned: z.boolean() },
      credentials: repoCredentials.optional(),
      ...{ priority: z.number().optional(), cost: z.number().optional() },
    }),
  ),
});
export type FixRecord = z.infer<typeof fixRecord>;

export const fixFile = (store: Store, run: Run): string => join(store.runDir(run), 'fix.json');

/** Undefined for a run that is not of a security case. */
export const readFix = (store: Store, run: Run): Promise<FixRecord | undefined> =>
  readJson(fixFile(store, run), fixRecord);
