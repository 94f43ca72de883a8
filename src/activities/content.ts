/** The check of a commit's content: the same for every composer. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { countReasons, type ContentSummary } from '../domain/content.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { checkContent, composed, contentFile } from '../rpm/content.js';
import { needJson, writeJson } from '../store/store.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { sha256 } from '../domain/names.js';
import { archArgs } from '../domain/inputs.js';

const shownProblems = 20;

export const contentActivities = (host: Host) => {
  const { store } = host;
  return {
    /**
     * Compares lockfile, RPM database and the files of every package with the commit. What is left out for a declared reason, and what
     * scripts have changed, is written to `content.json`. Fails with ContentMissing for anything else that differs.
     */
    checkContent: asStep(
      host,
      archArgs.extend({ commit: sha256 }),
      async (step, args): Promise<ContentSummary> => {
        const at = (name: string) => join(store.archDir(args, args.arch), name);
        const work = store.work(args, 'check-content', args.arch);
        await rm(work, { recursive: true, force: true });
        await mkdir(work, { recursive: true });
        const { problems, ...record } = await checkContent(
          step,
          { repo: store.repo(args.stream), commit: args.commit },
          await needJson(at('lockfile.json'), lockfile),
          await needJson(at('composed.json'), composed),
          join(work, 'tree'),
        );
        await rm(work, { recursive: true, force: true });
        for (const problem of problems) step.note(problem);
        if (problems.length > 0) throw new Failure('ContentMissing', messageOf(problems));
        await writeJson(at(contentFile), record);
        const { packages, entries, leftOut, changed } = record;
        return { packages, entries, leftOut: countReasons(leftOut), changed: countReasons(changed) };
      },
    ),
  };
};

/** The first problems; the step's log has each. */
function messageOf(problems: readonly string[]): string {
  const more = problems.length > shownProblems ? [`and ${problems.length - shownProblems} more`] : [];
  return [...problems.slice(0, shownProblems), ...more].join('\n');
}
