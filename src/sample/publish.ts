/** Publishes the sample's package repos: indexed, with their advisories, and signed. */
import { dirname } from 'node:path';
import { indexRepo } from '../rpm/index-repo.js';
import type { Step } from '../steps/step.js';
import { publishAdvisories } from './advisories.js';
import { signer } from './rpm.js';

/** Where the advisories of a repo are, and where they are written as `updateinfo`. */
export interface AdvisoryFiles {
  readonly advisories: string;
  readonly updateinfo: string;
}

/** Indexes and signs the RPMs of `rpms`; readers see the former metadata or the new. */
export const publishRepo = (step: Step, rpms: string, gnupg: string, files?: AdvisoryFiles): Promise<void> =>
  indexRepo(step, rpms, async (repomd) => {
    if (files)
      await publishAdvisories(step, files.advisories, { repodata: dirname(repomd), xml: files.updateinfo });
    await step.run(['gpg', '--batch', '--yes', '--local-user', signer, '--detach-sign', '--armor', repomd], {
      env: { GNUPGHOME: gnupg },
    });
  });
