/** What the signed rebuild and the build of a security case share: rebuilt, signed and compared packages, and waiting for people. */
import { CancellationScope, condition, setHandler, type SignalDefinition } from '@temporalio/workflow';
import type { ArchStepArgs } from '../activities/host.js';
import type { SourcesToBuild } from '../activities/rebuild.js';
import type { Question } from '../release/authority.js';
import type { ApprovedArgs } from '../rebuild/approved.js';
import { composeOn, control, reimzul, signing } from './activities.js';
import { makeTree, resolvePackages, type Committed, type Named, type OnHost } from './build.js';
import { limited, type Chain } from './chain.js';
import { describeFailure } from './describe.js';

export interface Collected extends OnHost, SourcesToBuild {}

/** Are the keys good, before anything is built? Answers a line for each that expires soon. */
export async function checkKeys(chain: Chain): Promise<readonly string[]> {
  const { warnings } = await chain.step(
    'keys',
    'Check the signing keys',
    (call, args) => signing.checkKeys.executeWithOptions(call, [args]),
    (found) => found.warnings.join('; '),
  );
  return warnings;
}

/** Wave by wave, and so many side by side as the stream allows. Urgent ones go before reimzul's other jobs. */
export async function rebuildSources(
  chain: Chain,
  named: Named,
  { arch, sources, limit }: SourcesToBuild & Pick<OnHost, 'arch'>,
  urgent = false,
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
          named(`rebuild-${name}`, arch),
          `Rebuild ${name}`,
          (call, args) =>
            reimzul.rebuildSource.executeWithOptions(call, [
              { ...args, arch, source, ...(urgent ? { urgent } : {}) },
            ]),
          (built) => `on ${built.builder}: ${built.log}`,
        );
        chain.phase(
          `rebuild: ${++done} of ${fresh.length} packages${waves.length > 1 ? `, wave ${wave + 1}` : ''}`,
        );
      },
    );
}

/** The tree, from the signed set and nothing else. `approved`: what the signing role is to find statements for. */
export async function composeSigned(
  chain: Chain,
  named: Named,
  prepared: OnHost,
  approved: Omit<ApprovedArgs, keyof ArchStepArgs>,
): Promise<void> {
  const { arch, hostQueue } = prepared;
  const host = composeOn(hostQueue);
  await chain.step(named('sign-packages', arch), 'Verify and sign the rebuilt packages', (call, args) =>
    signing.signPackages.executeWithOptions(call, [{ ...args, arch, ...approved }]),
  );
  await resolvePackages(chain, named, arch, host);
  await chain.step(named('strict', arch), 'Are they the accepted ones?', (call, args) =>
    host.strict.executeWithOptions(call, [{ ...args, arch }]),
  );
  await makeTree(chain, named, prepared);
}

/** Checks a signed tree, and compares it with the accepted one; answers what nobody expected. */
export async function compareSigned(chain: Chain, named: Named, tree: Committed): Promise<readonly string[]> {
  const { arch, hostQueue, commit } = tree;
  await chain.step(
    named('check-tree', arch),
    'Check signatures and update source of the tree',
    (call, args) => composeOn(hostQueue).checkTree.executeWithOptions(call, [{ ...args, arch, commit }]),
  );
  return compare(chain, named, tree, 'accepted one');
}

/** Compares the tree with another one; answers what nobody expected. */
export async function compare(
  chain: Chain,
  named: Named,
  { arch, hostQueue, commit }: Committed,
  other: string,
): Promise<readonly string[]> {
  const { unexpected } = await chain.step(
    named('equivalence', arch),
    `Compare the tree with the ${other}`,
    (call, args) => composeOn(hostQueue).equivalence.executeWithOptions(call, [{ ...args, arch, commit }]),
    (found) => `${found.expected} expected differences, ${found.unexpected.length} others`,
  );
  return unexpected;
}

/** What builders say from now on is of no use to this run. */
export const forgetNews = (chain: Chain) =>
  CancellationScope.nonCancellable(() =>
    reimzul.cleanNews
      .executeWithOptions({ summary: 'Forget the builders’ news', retry: { maximumAttempts: 3 } }, [
        { stream: chain.stream, run: chain.run, step: 'clean-news' },
      ])
      .catch(() => undefined),
  );

/** People's word, by statements alone: the signal only says that it is worth looking. */
export class Word {
  #asked = 0;
  constructor(signal: SignalDefinition) {
    setHandler(signal, () => {
      this.#asked++;
    });
  }

  /** Is it worth looking already? */
  get asked(): boolean {
    return this.#asked > 0;
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
      await condition(() => this.#asked > seen);
      seen = this.#asked;
      try {
        await control.authorize.executeWithOptions({ summary }, [
          { stream: chain.stream, run: chain.run, step, ...question },
        ]);
        return;
      } catch (error) {
        if (describeFailure(error).code !== 'StatementRefused') throw error;
        await refused();
      }
    }
  }
}
