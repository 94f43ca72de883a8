/** The check of a commit's content: the same for every composer. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentSummary } from '../domain/content.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { checkoutCommand } from '../rpm/difference.js';
import { readDatabase } from '../rpm/headers.js';
import { needJson } from '../store/store.js';
import { asStep, type Host } from './host.js';
import { sha256 } from '../domain/names.js';
import { archArgs } from './inputs.js';

export const contentActivities = (host: Host) => {
  const { store } = host;
  return {
    /** Is the commit's RPM database the lockfile? Fails with CommitInvalid, all differences in one message. */
    checkContent: asStep(
      host,
      archArgs.extend({ commit: sha256 }),
      async (step, args): Promise<ContentSummary> => {
        const work = store.work(args, 'check-content', args.arch);
        await rm(work, { recursive: true, force: true });
        await mkdir(work, { recursive: true });
        const { packages } = await needJson(join(store.archDir(args, args.arch), 'lockfile.json'), lockfile);
        const database = join(work, 'rpmdb');
        await step.run(checkoutCommand(store.repo(args.stream), args.commit, database));
        const found = await readDatabase(step, database, work);
        const problems = [
          ...found
            .filter(({ name, evra }) => packages[name]?.evra !== evra)
            .map(({ name, evra }) => `${name}-${evra} is not locked`),
          ...Object.entries(packages)
            .filter(([name, { evra }]) => !found.some((one) => one.name === name && one.evra === evra))
            .map(([name, { evra }]) => `${name}-${evra} is missing`),
        ];
        await rm(work, { recursive: true, force: true });
        if (problems.length > 0) throw new Failure('CommitInvalid', problems.join('; '), problems);
        return { packages: found.length, entries: 0, leftOut: 0, changed: 0 };
      },
    ),
  };
};
