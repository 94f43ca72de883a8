/** Small marks: a boot test's outcome, the counts of package changes, a shortened checksum. */
import type { PackageChange } from '../domain/metadata.js';
import { groupChanges } from './facts.js';
import type { Outcome } from './types.js';

const marks: Record<Outcome, string> = { passed: '✓', flaky: '≈', failed: '✗', untested: '–' };
const words: Record<Outcome, string> = {
  passed: 'passed',
  flaky: 'flaky',
  failed: 'failed',
  untested: 'not tested',
};

/** The outcome in colour, sign and word: no one of them alone carries it. */
export const Badge = ({ outcome }: { outcome: Outcome }) => (
  <span class={`badge ${outcome}`}>
    <span aria-hidden="true">{marks[outcome]} </span>
    {words[outcome]}
  </span>
);

/** `+3 −1 ↑12 ↓1`, with the words for those who do not see the signs. */
export function ChangeCounts({ diff }: { diff: readonly PackageChange[] | undefined }) {
  if (!diff) return <span class="quiet">first build</span>;
  const groups = groupChanges(diff);
  const shown = (
    [
      ['+', 'added'],
      ['−', 'removed'],
      ['↑', 'upgraded'],
      ['↓', 'downgraded'],
    ] as const
  ).filter(([, kind]) => groups[kind].length > 0);
  if (shown.length === 0) return <span class="quiet">none</span>;
  return (
    <span class="counts">
      {shown.map(([sign, kind]) => (
        <span class={kind} title={kind} key={kind}>
          <span aria-hidden="true">{sign}</span>
          {groups[kind].length}
          <span class="unseen"> {kind} </span>
        </span>
      ))}
    </span>
  );
}

/** The first ten digits of a checksum, the whole in its title. */
export const Short = ({ checksum }: { checksum: string }) => (
  <code title={checksum}>{checksum.slice(0, 10)}</code>
);
