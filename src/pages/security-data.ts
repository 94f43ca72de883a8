/** `security.json`: the page of a stream's security for programs. */
import type { SecurityAdvisory } from '../domain/security.js';
import { timeToFix } from '../domain/time-to-fix.js';
import type { SecurityInput } from './types.js';

export const securityData = ({ generated, stream, cases, watch, fixes, releases }: SecurityInput) => ({
  stream: stream.name,
  generated,
  cases: cases.map((one) => ({
    ...{ id: one.id, phase: one.phase, openedBy: one.openedBy },
    advisories: one.advisories.map(sourceless),
    fixes: one.fixes,
    ...(one.plan ? { base: one.plan.base, packages: one.plan.packages } : {}),
    ...(one.build === undefined ? {} : { build: one.build, commits: one.buildCommits }),
    approvals: one.approvals.map(({ approver, at }) => ({ approver, at })),
    ...{ needed: one.needed, missing: one.missing, times: one.times },
    /** Seconds. */
    timeToFix: timeToFix(one.times),
    ...(one.note === undefined ? {} : { note: one.note }),
  })),
  fixes,
  releases,
  ...(watch
    ? { looked: watch.looked, release: watch.release, considered: watch.considered.map(sourceless) }
    : {}),
});

/** Its source may be a file of this machine. */
const sourceless = <A extends SecurityAdvisory>({ source: _, ...advisory }: A) => advisory;
