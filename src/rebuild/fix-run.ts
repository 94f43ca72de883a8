/**
 * The run of a security case's build: its record `fix.json`, and where its packages come from. What the base has stays under its own repo
 * ids; current repos have ids that no stream file can give.
 */
import type { RepoInput } from '../composers/composer.js';
import type { Stream } from '../domain/stream.js';

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
