/** Approves a build that is proposed. */
import { decision, namesUnfixed, unfixed, type Matter, type Needed } from './decision.js';

interface Approval {
  readonly commits: Readonly<Record<string, string | undefined>>;
  readonly onto: string | null;
  readonly unfixed?: readonly string[] | undefined;
}

/** An approval counts on the release that it was signed on, for the commits that it names. */
export const approves = {
  quorum: ({ promote }: Needed) => promote,
  answers: (said: Approval, asked: Matter) =>
    said.onto === asked.onto &&
    namesUnfixed(said, asked) &&
    Object.entries(asked.commits ?? {}).every(([arch, commit]) => said.commits[arch] === commit),
  endedBy: ['reject', 'withdraw'],
  // Approvals of a promotion are withdrawn by the build, its attempts by their number.
  tested: ({ build }: Matter, { mode }: { readonly mode: string }) => (mode === 'copy' ? build : undefined),
} as const;

export const approve = decision(
  'approve',
  { unfixed },
  {
    about: 'build',
    group: 'approvers',
    to: 'promote',
    ...approves,
    text: { does: 'approve a proposed build' },
  },
);
