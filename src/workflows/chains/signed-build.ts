/** What the signed rebuild and the build of a security case share: rebuilt, signed and compared packages, and waiting for people. */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { ArchStepArgs, ApprovedArgs } from '../../domain/inputs.js';
import type { SourcesToBuild } from '../../activities/rebuild.js';
import type { Question } from '../../domain/statement.js';
import { control, reimzul, signing } from '../activities.js';
import { makeTree, resolvePackages, type Committed, type OnHost } from './build.js';
import { fewTimes, type Input } from '../call.js';
import { limited, type Chain } from './chain.js';
import { describeFailure } from '../describe.js';
import { onSignal, type Signal } from '../messages.js';

export interface Collected extends OnHost, SourcesToBuild {}

/** Checks the keys before anything is built. Answers a line for each that expires soon. */
export async function checkKeys(chain: Chain): Promise<readonly string[]> {
  const expiring = ({ warnings }: { warnings: readonly string[] }) => warnings.join('; ');
  const { warnings } = await chain.step('keys', 'Check the signing keys', signing.checkKeys, {}, expiring);
  return warnings;
}

/** Wave by wave, and so many side by side as the stream allows. Urgent ones go before reimzul's other jobs. */
export async function rebuildSources(
  { chain, sources, limit }: SourcesToBuild & Pick<OnHost, 'chain'>,
  priority: { readonly urgent?: boolean } = {},
): Promise<void> {
  const fresh = sources.filter(({ reused }) => !reused);
  let done = 0;
  const waves = [...new Set(fresh.map(({ wave }) => wave))].sort((a, b) => a - b);
  for (const wave of waves)
    await limited(
      limit,
      fresh.filter((source) => source.wave === wave),
      async (source) => {
        const name = source.srpm.replace(/\.src\.rpm$/, '');
        await chain.step(
          `rebuild-${name}`,
          `Rebuild ${name}`,
          reimzul.rebuildSource,
          { source, ...priority },
          ({ builder, log }) => `on ${builder}: ${log}`,
        );
        chain.whole.phase(
          `rebuild: ${++done} of ${fresh.length} packages${waves.length > 1 ? `, wave ${wave + 1}` : ''}`,
        );
      },
    );
}

/** The tree, from the signed set and nothing else. `approved`: what the signing role is to find statements for. */
export async function composeSigned(
  place: OnHost,
  approved: Input<ApprovedArgs, ArchStepArgs>,
): Promise<void> {
  const { chain, host } = place;
  await chain.step('sign-packages', 'Verify and sign the rebuilt packages', signing.signPackages, approved);
  await resolvePackages(place);
  await chain.step('strict', 'Check packages against the accepted lockfile', host.strict, {});
  await makeTree(place);
}

/** Checks a signed tree, and compares it with the accepted one; answers what nobody expected. */
export async function compareSigned(tree: Committed): Promise<readonly string[]> {
  const { chain, host, commit } = tree;
  await chain.step('check-tree', 'Check signatures and update source of the tree', host.checkTree, {
    commit,
  });
  return compare(tree, 'accepted one');
}

/** Compares the tree with another one; answers what nobody expected. */
export async function compare({ chain, host, commit }: Committed, other: string): Promise<readonly string[]> {
  const title = `Compare the tree with the ${other}`;
  const { unexpected } = await chain.step(
    'equivalence',
    title,
    host.equivalence,
    { commit },
    (found) => `${found.expected} expected differences, ${found.unexpected.length} others`,
  );
  return unexpected;
}

/** What differs, for people. */
export const differences = (unexpected: readonly string[]): string =>
  `${unexpected.length} unexpected differences: ${unexpected.slice(0, 5).join('; ')}`;

/** What builders say from now on is of no use to this run. */
export const discardNotifications = (chain: Chain) =>
  CancellationScope.nonCancellable(() =>
    chain
      .call('clean-news', 'Discard pending builder notifications', reimzul.cleanNews, {}, fewTimes)
      .catch(() => undefined),
  );

/** Waits for signed approvals: the signal only says that the statements are worth another look. */
export class ApprovalGate {
  #signals = 0;
  constructor(signal: Signal) {
    onSignal(signal, () => {
      this.#signals++;
    });
  }

  /** Are there statements to look at already? */
  get signalled(): boolean {
    return this.#signals > 0;
  }

  /** Until the statements answer the question; `refused` after each look that found too few. */
  async wait(
    chain: Chain,
    step: string,
    summary: string,
    question: Question,
    refused: () => Promise<void>,
  ): Promise<void> {
    for (let seen = 0; ;) {
      await condition(() => this.#signals > seen);
      seen = this.#signals;
      try {
        await chain.call(step, summary, control.authorize, question);
        return;
      } catch (error) {
        if (describeFailure(error).code !== 'StatementRefused') throw error;
        await refused();
      }
    }
  }
}
