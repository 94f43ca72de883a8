/** What a decision about a signed rebuild says: filled in from its last attempt, and shown before it is signed. */
import { join } from 'node:path';
import type { Lockfile } from '../domain/lockfile.js';
import { releasedAs, type Attempt, type Promotion } from '../domain/promotion.js';
import type { ReworkChanges } from '../domain/rework-changes.js';
import type { RebuildDecision, StatementOf } from '../domain/statement.js';
import { equivalence } from '../domain/equivalence.js';
import { signedName, type Architecture, type Stream } from '../domain/stream.js';
import { lockfileOf } from '../store/lockfiles.js';
import { readJson, type Store } from '../store/store.js';
import { findBuild } from './builds.js';
import { unfixedOf } from './decision.js';
import { CliError, clean, exitCodes, paint, printTable } from './output.js';
import { changedPackages, showImages, showPackages } from './preview.js';
import { commitsOf, type Known } from './releases.js';
import type { Facts } from './statement.js';

export interface RebuildOptions {
  readonly reuse: boolean;
  /** NAME=[EPOCH:]VERSION-RELEASE.ARCH */
  readonly pin: readonly string[];
  readonly drop: readonly string[];
  readonly currentFiles?: boolean;
  /** The accepted inputs again, after an attempt with others. */
  readonly acceptedInputs?: boolean;
  readonly reason?: string;
  /** Ids of security cases. */
  readonly unfixed: readonly string[];
}

/** The last attempt of a build's open promotion; the build may be the accepted or the signed one. Throws `CliError`. */
export function openAttempt(
  stream: string,
  build: string,
  { promotions }: Known,
): { promotion: Promotion; attempt: Attempt } {
  const promotion =
    promotions.find((open) => open.build === build) ?? promotions.find((open) => releasedAs(open) === build);
  const attempt = promotion?.attempts?.at(-1);
  if (!promotion || !attempt)
    throw new CliError(
      `${stream} ${build}: no signed rebuild of it is open. \`treeline promotions ${stream}\` shows what is.`,
      exitCodes.notFound,
    );
  return { promotion, attempt };
}

/** Throws `CliError` for what cannot be said of the attempt. */
export async function chooseAttempt(
  store: Store,
  stream: string,
  build: string,
  decision: RebuildDecision,
  options: RebuildOptions,
  known: Known,
): Promise<Facts<RebuildDecision>> {
  const { promotion, attempt } = openAttempt(stream, build, known);
  const no = (why: string) => new CliError(`${stream} ${promotion.build}: ${why}`, exitCodes.usage);
  const { number } = attempt;
  const changes = changesOf(options);
  if (changes && decision !== 'rework')
    throw no('--pin, --drop, --current-files and --accepted-inputs are for rework');
  if (options.unfixed.length > 0 && decision !== 'release') throw no('--unfixed is for release');
  const about = { build: promotion.build, onto: known.current, attempt: number };
  const accepted = () => commitsOf(store, stream, promotion.build, known);
  switch (decision) {
    case 'release': {
      const { build: signed } = attempt;
      if (signed === undefined) throw no(`attempt ${number} has no signed build: it is ${attempt.state}`);
      return {
        ...{ ...about, signed, commits: await commitsOf(store, signedName(stream), signed, known) },
        ...unfixedOf(options),
      };
    }
    case 'accept':
      return { ...about, commits: attempt.commits ?? {} };
    case 'redo':
      return {
        ...{ ...about, reuse: options.reuse, commits: await accepted() },
        ...(attempt.changes ? { changes: attempt.changes } : {}),
      };
    case 'rework':
      if (!changes)
        throw no('say what to change: --pin NAME=EVRA, --drop NAME, --current-files or --accepted-inputs');
      return { ...about, reuse: options.reuse, changes, commits: await accepted() };
    case 'abandon':
      return { ...about, reason: options.reason ?? '', commits: await accepted().catch(() => ({})) };
  }
}

function changesOf({ pin, drop, currentFiles, acceptedInputs }: RebuildOptions): ReworkChanges | undefined {
  const none = pin.length === 0 && drop.length === 0 && !currentFiles;
  if (acceptedInputs && !none)
    throw new CliError('--accepted-inputs stands alone: it takes all changes back', exitCodes.usage);
  if (none && !acceptedInputs) return undefined;
  const pins = pin.map((text) => {
    const at = text.indexOf('=');
    if (at < 1)
      throw new CliError(`--pin ${text}: write NAME=EVRA, such as netbase=6.5-1.el7.noarch`, exitCodes.usage);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return { pin: Object.fromEntries(pins), drop: [...drop], files: currentFiles ? 'current' : 'accepted' };
}

/** Prints what the person is about to sign. */
export async function showDecision(
  store: Store,
  stream: Stream,
  said: StatementOf<RebuildDecision>,
  known: Known,
): Promise<void> {
  const { build, onto, attempt } = said;
  const { promotion, attempt: last } = openAttempt(stream.name, build, known);
  const packages =
    'reuse' in said && said.reuse
      ? 'signed packages whose sources are the same are reused'
      : 'all packages are rebuilt';
  const next = `attempt ${attempt + 1}`;
  const running = last.state === 'running' || last.state === 'differs';
  console.log(paint('bold', `${stream.name} ${build}, attempt ${attempt} (${last.state})`));
  if (running && said.decision !== 'accept') console.log(`attempt ${attempt} is stopped first`);
  switch (said.decision) {
    case 'release':
      return showSigned(store, stream.name, said.signed, onto);
    case 'accept':
      return console.log(clean(`accepted although it differs: ${last.note ?? ''}`));
    case 'redo':
      return console.log(`${next} begins with the same inputs; ${packages}`);
    case 'rework':
      console.log(`${next} begins with changed inputs; ${packages}`);
      return showChanges(store, stream, build, said.changes);
    case 'abandon': {
      const made = promotion.attempts?.flatMap(({ build: id }) => id ?? []) ?? [];
      const kept = stream.release?.rebuild?.keepAbandoned === true;
      if (made.length === 0) console.log('nothing is at the testing location');
      else
        console.log(
          `${made.join(', ')}: ${kept ? 'kept at the testing location (`keepAbandoned`)' : 'removed from the testing location'}`,
        );
    }
  }
}

/** The signed build that would be released. */
async function showSigned(store: Store, stream: string, signed: string, onto: string | null): Promise<void> {
  const { metas, run } = await findBuild(store, `${signedName(stream)}/${signed}`);
  console.log(
    `${signed} is released: ${onto === null ? 'the first release' : `it replaces the release ${onto}`}`,
  );
  for (const meta of metas) {
    const { architecture } = meta;
    console.log(`\n${architecture}  commit ${meta['ostree-commit']}  made ${meta['ostree-timestamp']}`);
    showImages(meta);
    await showEquivalence(join(store.archDir(run, architecture), 'build', 'equivalence.json'));
    await showPackages(store, stream, meta, onto);
  }
  console.log();
}

/** Nothing where there is no report. */
export async function showEquivalence(file: string): Promise<void> {
  const report = await readJson(file, equivalence);
  if (!report) return;
  const { expected, unexpected: count } = report.counts;
  console.log(`${expected} expected differences from the accepted build`);
  console.log(
    count === 0
      ? 'no unexpected difference from the accepted build'
      : paint(
          'yellow',
          `${count} unexpected ${count === 1 ? 'difference' : 'differences'} from the accepted build, accepted by the SIG`,
        ),
  );
}

/** How the inputs differ from those of the accepted build. */
async function showChanges(
  store: Store,
  { name, architectures }: Stream,
  build: string,
  changes: ReworkChanges,
): Promise<void> {
  if (changes.files === 'current') console.log('treefile and stream file: as they are now');
  for (const arch of architectures) {
    const accepted = await lockfileOf(store, name, build, arch);
    if (!accepted)
      console.log(`${arch}: the lockfile of ${build} is gone: how its packages change is not known`);
    else showChanged(arch, accepted, changes);
  }
}

function showChanged(arch: Architecture, accepted: Lockfile, { pin, drop }: ReworkChanges): void {
  const packages = {
    ...Object.fromEntries(Object.entries(accepted.packages).filter(([name]) => !drop.includes(name))),
    // Their checksums are known when they are resolved.
    ...Object.fromEntries(Object.entries(pin).map(([name, evra]) => [name, { evra, digest: '' }])),
  };
  const rows = changedPackages(accepted, { ...accepted, packages });
  console.log(
    `${arch}: ${rows.length} of ${Object.keys(accepted.packages).length} packages are changed by name:`,
  );
  if (rows.length > 0)
    printTable(
      ['PACKAGE', 'CHANGE', 'ACCEPTED', 'NEXT'],
      rows.map(({ name, change, from, to }) => [name, change, from, to]),
    );
  for (const name of drop)
    if (!accepted.packages[name]) console.log(paint('yellow', `${name} is not in the accepted build`));
}
