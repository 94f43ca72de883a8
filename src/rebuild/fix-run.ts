/**
 * The run of a security case's build: its record `fix.json`, and where its packages come from. What the base has stays under its own repo
 * ids; current repos have ids that no stream file can give.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { RepoInput } from '../composers/composer.js';
import { repoCredentials } from '../domain/repos.js';
import type { Stream } from '../domain/stream.js';
import { readJson, type Run, type Store } from '../store/store.js';

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

/**
 * The stream's repos as sources of fixes. Where packages are rebuilt the run's own repo has their ids: then a prefix tells them apart, with
 * a colon, which ids of stream files never have.
 */
export const fixRepos = ({ repos }: Pick<Stream, 'repos'>, rebuilds: boolean): Stream['repos'] =>
  rebuilds ? repos.map((repo) => ({ ...repo, id: `now:${repo.id}` })) : repos;

/** Id of the repo of what given source RPMs were rebuilt to. */
export const givenId = 'given:srpms';

/** A folder of this run's: unsigned, and known by digests. */
export const localRepo = (id: string, folder: string): RepoInput => ({
  ...{ id, baseurl: `file://${folder}`, gpgKeys: [], metadataSigned: false },
});
