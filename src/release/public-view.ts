/** What the public may know of a stream. The one place where embargoed security cases are left out, before anything is rendered. */
import type { DecisionRecord, StreamView } from '../domain/promotion.js';
import type { ReleaseIndex } from '../domain/release.js';
import type { ReleasedFix, SecurityCase } from '../domain/security.js';
import { securityDecisions } from '../domain/statement.js';
import type { WatchRecord } from '../store/watch-record.js';

/** What pages, feeds and published files are made of. */
export interface StreamKnowledge {
  readonly view: StreamView;
  readonly watch: WatchRecord | undefined;
  readonly fixes: readonly ReleasedFix[];
}

/** Stands for a text that is under embargo. */
const hidden = '(not public yet)';

/**
 * Leaves out the embargoed cases that no release has made public, what is decided about them, and the advisories that they are about;
 * a text that names one of them is replaced as a whole.
 */
export function publicView(known: StreamKnowledge, index: ReleaseIndex): StreamKnowledge {
  const view = { ...known.view, history: known.view.history.filter((record) => !isVain(record)) };
  const { watch, fixes } = known;
  const secret = (view.security ?? []).filter((one) => isSecret(one, index));
  if (secret.length === 0) return { view, watch, fixes };
  const ids = new Set(secret.map(({ id }) => id));
  const builds = new Set(secret.flatMap(({ build }) => build ?? []));
  const names = new Set(secret.flatMap(namesOf));
  const words = secret.flatMap(wordsOf);
  const silent = <T>(value: T) => without(value, words);
  const { security = [], history, vetoes, inWork } = view;
  return {
    view: silent({
      ...view,
      inWork: inWork !== null && (builds.has(inWork) || ids.has(inWork)) ? null : inWork,
      security: security.filter(({ id }) => !ids.has(id)),
      vetoes: vetoes.filter(({ build }) => !builds.has(build)),
      history: history.filter(({ case: id, build }) => !ids.has(id ?? '') && !builds.has(build)),
    }),
    watch: watch && {
      ...silent({ ...watch, considered: [] }),
      // Left out as a whole: also another advisory about the same packages would tell of it.
      considered: watch.considered.filter(
        (one) => !one.affected.some(({ name }) => names.has(name)) && !mentions(one, words),
      ),
    },
    fixes: fixes.filter(({ case: id }) => !ids.has(id)),
  };
}

/** A request that came to nothing has no case to tell whether it was under embargo. */
const isVain = ({ decision, refused, case: id }: DecisionRecord): boolean =>
  refused !== undefined && id === undefined && securityDecisions.includes(decision);

const isSecret = ({ embargoed, phase, build }: SecurityCase, { releases }: ReleaseIndex): boolean =>
  embargoed && phase !== 'released' && !releases.some(({ version }) => version === build);

/** Its packages. */
const namesOf = ({ fixes, plan }: SecurityCase): string[] =>
  [...fixes, ...(plan?.packages ?? [])].map(({ name }) => name);

/** What tells of it wherever it stands. */
const wordsOf = ({ id, build, buildCommits, advisories, fixes, srpms, plan }: SecurityCase): string[] => [
  ...[id, ...(build === undefined ? [] : [build])],
  ...Object.values(buildCommits ?? {}),
  ...advisories.flatMap((advisory) => [advisory.id, ...advisory.cves]),
  ...fixes.map(({ name, evr }) => `${name}-${evr}`),
  ...Object.keys(srpms ?? {}),
  ...(plan?.packages.flatMap(({ name, to }) => (to === null ? [] : [`${name}-${to}`])) ?? []),
];

const mentions = (value: unknown, words: readonly string[]) => {
  const text = JSON.stringify(value);
  return words.some((word) => text.includes(word));
};

/** The same value; texts in it that have one of the words are replaced. */
const without = <T>(value: T, words: readonly string[]): T =>
  JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'string' && words.some((word) => part.includes(word)) ? hidden : part,
  ) as T;
