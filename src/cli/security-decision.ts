/** What a person says about security releases: filled in from the case, and shown before it is signed. */
import { join } from 'node:path';
import { buildMeta } from '../domain/metadata.js';
import { cvesOf, type FixPlan, type SecurityCase } from '../domain/security.js';
import type { FixDecision, StatementOf } from '../domain/statement.js';
import { signedName } from '../domain/stream.js';
import { oneLine } from '../release/texts/plain.js';
import { readJson, type Store } from '../store/store.js';
import { suggestion } from '../streams/mistakes.js';
import { giveSources } from './given-source.js';
import { CliError, exitCodes, paint, printTable } from './output.js';
import { showImages } from './preview.js';
import { showEquivalence } from './rebuild-decision.js';
import type { Known } from './releases.js';
import type { Facts } from './statement.js';

export type CaseWord = 'approve' | 'accept' | 'dismiss' | 'withdraw';

export interface FixOptions {
  readonly advisory: readonly string[];
  /** `name-[epoch:]version-release.arch` */
  readonly package: readonly string[];
  /** Files. */
  readonly srpm: readonly string[];
  readonly embargo?: boolean;
}

/** A release that is asked for: on the current release. Copies the source RPMs into the build store. Throws `CliError`. */
export async function chooseFix(
  store: Store,
  stream: string,
  options: FixOptions,
  known: Known,
): Promise<Facts<'fix'>> {
  const build = needCurrent(stream, known);
  const srpms = await giveSources(store, stream, options.srpm);
  return {
    ...{ build, onto: build },
    fix: {
      advisories: [...options.advisory],
      packages: [...options.package],
      embargo: options.embargo ?? false,
    },
    ...(options.srpm.length > 0 ? { srpms } : {}),
  };
}

export function showFix(stream: string, { build, fix, srpms }: StatementOf<'fix'>): void {
  console.log(
    paint('bold', `${stream}: a security release on ${build}${fix.embargo ? ', under embargo' : ''}`),
  );
  const asked = [...fix.advisories, ...fix.packages, ...Object.keys(srpms ?? {})];
  for (const one of asked) console.log(`  ${oneLine(one)}`);
}

/** A word on a case. Throws `CliError` for what cannot be said of it. */
export function chooseCaseWord(
  _store: Store,
  stream: string,
  word: CaseWord,
  id: string,
  { reason }: { readonly reason?: string },
  known: Known,
): Facts<FixDecision | 'withdraw'> {
  const one = findCase(stream, id, known);
  const { plan, phase, srpms, buildCommits } = one;
  const build = plan?.base ?? needCurrent(stream, known);
  const about = { build, onto: build, case: id };
  switch (word) {
    case 'approve':
      if (!plan)
        throw new CliError(
          `${stream} ${id}: has no plan yet that could be approved: it is ${phase}`,
          exitCodes.usage,
        );
      return { ...about, commits: plan.commits, changes: plan.changes, ...(srpms ? { srpms } : {}) };
    case 'accept':
      return { ...about, commits: buildCommits ?? {} };
    case 'dismiss':
      return { ...about, reason: reason ?? '' };
    case 'withdraw':
      return about;
  }
}

/** Prints what the person is about to sign. */
export async function showCaseWord(
  store: Store,
  stream: string,
  word: CaseWord,
  { case: id = '' }: StatementOf<FixDecision | 'withdraw'>,
  known: Known,
): Promise<void> {
  const one = findCase(stream, id, known);
  const { phase, advisories, plan, embargoed } = one;
  console.log(
    paint('bold', `${stream}, security case ${id} (${phase}${embargoed ? ', under embargo' : ''})`),
  );
  if (advisories.length > 0)
    printTable(
      ['ADVISORY', 'SEVERITY', 'TITLE'],
      advisories.map((advisory) => [advisory.id, advisory.severity, advisory.title].map(oneLine)),
    );
  const cves = cvesOf(advisories);
  if (cves.length > 0) console.log(cves.map(oneLine).join(', '));
  if (plan) showPlan(plan);
  if (word === 'accept') console.log(`accepted although it differs: ${oneLine(one.note ?? '')}`);
  if (word === 'approve' || word === 'accept') await showBuild(store, stream, one);
}

function showPlan({ base, packages }: FixPlan): void {
  console.log(`\nchanges to the release ${base}:`);
  printTable(
    ['PACKAGE', 'RELEASED', 'FIXED', 'WHY'],
    packages.map(({ name, from, to, why }) =>
      [name, from ?? 'none', to ?? 'removed', why === 'fix' ? 'the fix' : 'needed by it'].map(oneLine),
    ),
  );
}

/** Tests and differences, as far as they are known. */
async function showBuild(store: Store, stream: string, { build, buildCommits }: SecurityCase): Promise<void> {
  if (build === undefined) return console.log('\nnot built yet: its tests come after');
  const run = await store.runOf(stream, build);
  for (const [arch, commit] of Object.entries(buildCommits ?? {})) {
    console.log(`\n${build}, ${arch}  commit ${commit}`);
    for (const line of run === undefined ? [] : [stream, signedName(stream)]) {
      const folder = join(store.runDir({ stream: line, run: run ?? '' }), arch, 'build');
      const meta = await readJson(join(folder, 'meta.json'), buildMeta);
      if (meta) showImages(meta);
      await showEquivalence(join(folder, 'equivalence.json'));
    }
  }
}

/** Throws `CliError` for one that is not known. */
function findCase(stream: string, id: string, { security = [] }: Known): SecurityCase {
  const found = security.find((one) => one.id === id);
  if (found) return found;
  const ids = security.map((one) => one.id);
  throw new CliError(
    `${stream}: no security case ${id}.${suggestion(id, ids)} \`treeline security ${stream}\` lists them.`,
    exitCodes.notFound,
  );
}

function needCurrent(stream: string, { current }: Known): string {
  if (current === null)
    throw new CliError(`${stream}: nothing is released: there is nothing to fix`, exitCodes.notFound);
  return current;
}
