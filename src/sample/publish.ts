/** Publishes the sample's package repos: indexed and signed. */
import { indexRepo } from '../rpm/index-repo.js';
import type { Step } from '../steps/step.js';
import { signer } from './rpm.js';

/** Indexes and signs the RPMs of `rpms`; readers see the former metadata or the new. */
export const publishRepo = (step: Step, rpms: string, gnupg: string): Promise<void> =>
  indexRepo(step, rpms, async (repomd) => {
    await step.run(['gpg', '--batch', '--yes', '--local-user', signer, '--detach-sign', '--armor', repomd], {
      env: { GNUPGHOME: gnupg },
    });
  });
