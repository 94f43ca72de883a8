/** Approves the plan of a security case, word for word; `build` is the release that it is made from, and `commits` are its commits. */
import { buildId } from '../build-id.js';
import { caseId } from '../names.js';
import { reworkChanges } from '../rework-changes.js';
import { commitsText, decision, ofOpenCase, sameChanges, sameCommits, srpms } from './decision.js';

export const approveFix = decision(
  'approve-fix',
  { onto: buildId, case: caseId, changes: reworkChanges, srpms: srpms.optional() },
  {
    about: 'case',
    group: 'security',
    to: 'approve-fix',
    lasting: true,
    quorum: ({ fix }) => fix,
    answers: (said, asked) =>
      said.case === asked.case &&
      said.onto === asked.onto &&
      sameCommits(said, asked) &&
      sameChanges(said.changes, asked.changes) &&
      commitsText(said.srpms ?? {}) === commitsText(asked.srpms ?? {}),
    endedBy: ['withdraw', 'dismiss-fix'],
    check: ofOpenCase((said, { phase, plan, srpms }, { current }) => {
      const { build, onto, commits } = said;
      if (!plan) return `is ${phase}; what it changes is not planned yet`;
      if (phase === 'releasing') return 'is being released';
      if (build !== plan.base || onto !== plan.base) return `is made from ${plan.base}, not from ${onto}`;
      if (onto !== current) return `${current ?? 'nothing'} is the release now, not ${plan.base}`;
      if (commitsText(commits) !== commitsText(plan.commits))
        return `names the commits ${commitsText(commits)}, but ${plan.base} has ${commitsText(plan.commits)}`;
      if (!sameChanges(said.changes, plan.changes)) return 'names other changes than those that are planned';
      return commitsText(said.srpms ?? {}) === commitsText(srpms ?? {})
        ? undefined
        : 'names other source RPMs';
    }),
    text: { does: 'approve the plan of a security case' },
  },
);
