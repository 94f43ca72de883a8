/** Do two source RPMs have the same spec file and sources? Their headers say so: a build system makes its own with another release. */
import { basename } from 'node:path';
import type { Step } from '../steps/step.js';
import { readDetails, type RpmDetails } from './headers.js';

/**
 * What the source RPM `rebuilt` has other than `accepted`, for people; undefined if spec file and sources are the same, by name and
 * digest. Headers are taken at their word: who may make up a header may make up packages too.
 */
export async function otherSource(
  step: Step,
  accepted: string,
  rebuilt: string,
  work: string,
): Promise<string | undefined> {
  const [wanted, found] = await readDetails(step, [accepted, rebuilt], work);
  if (!wanted || 'failure' in wanted) return `${basename(accepted)}: no RPM: ${wanted?.failure ?? ''}`;
  if (!found || 'failure' in found) return `${basename(rebuilt)}: no RPM: ${found?.failure ?? ''}`;
  if (wanted.name !== found.name) return `is of ${found.name}, not of ${wanted.name}`;
  const [own, theirs] = [contentOf(wanted), contentOf(found)];
  const names = [...new Set([...own.keys(), ...theirs.keys()])].sort();
  const lines = names.flatMap((name) => {
    const [a, b] = [own.get(name), theirs.get(name)];
    if (a === b) return [];
    if (a === undefined) return [`${name} is added`];
    if (b === undefined) return [`${name} is missing`];
    return [a.length === b.length ? `${name} is another` : `${name} has a digest of another kind`];
  });
  if (names.length === 0) return 'has no files';
  return lines.length === 0 ? undefined : lines.slice(0, 10).join(', ');
}

const contentOf = ({ files }: RpmDetails) =>
  new Map(files.map(({ path, digest }) => [basename(path), digest] as const));
