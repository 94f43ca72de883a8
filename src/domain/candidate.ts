/** What a look at the cadence finds to do: a build to propose, and what the SIG is told. */
import { compareIds } from './build-id.js';
import { cadenceRows, type CadenceRelease, type CadenceRow } from './cadence.js';
import {
  missed,
  noCandidate,
  openPromotions,
  proposed,
  remind,
  type CadenceTell,
  type Situation,
} from './cadence-notices.js';
import { toDay } from './days.js';
import type { BuildMeta } from './metadata.js';
import { formatSeconds } from './units.js';
import type { UpstreamBuild } from './upstream.js';

export interface CadenceActions {
  /** The build to propose for a date. */
  readonly propose?: { readonly build: string; readonly due: string };
  /** What the SIG is told; the same key is found at each look until the matter is over. */
  readonly tell: readonly CadenceTell[];
}

/** A published build: its metadata for each architecture that is known of it. */
export interface PublishedBuild {
  readonly id: string;
  readonly metas: readonly BuildMeta[];
}

export interface CadenceInput extends Situation {
  /** Oldest first. */
  readonly releases: readonly CadenceRelease[];
  readonly builds: readonly PublishedBuild[];
  readonly upstream?: readonly UpstreamBuild[] | undefined;
}

/** Dates that have passed without a release are told up to this many dates later. */
const toldMissed = 2;
/** A proposal that was refused is not made again sooner: each try stands in the stream's history. */
const refusedMs = 86_400_000;

/** Pure: everything that it knows is in its input. A stream without `release.cadence` has nothing to do. */
export function cadenceActions(input: CadenceInput): CadenceActions {
  const { stream, now } = input;
  const cadence = stream.release?.cadence;
  if (!cadence) return { tell: [] };
  // Two to come: the next date may have its release already.
  const rows = cadenceRows(cadence, { ...input, past: toldMissed, coming: 2 });
  const tell = rows.filter(({ state }) => state === 'missed').map((row) => missed(input, row));
  const row = rows.find(({ state }) => state === 'due');
  if (!row) return { tell };

  const today = toDay(now.toISOString());
  const chosen = chooseCandidate(input, row);
  const free =
    today >= toDay(row.windowFrom) && openPromotions(input).length === 0 && input.view.inWork === null;
  const propose = free && chosen.build !== undefined ? { build: chosen.build, due: row.due } : undefined;
  if (propose) tell.push(proposed(input, row, propose.build));
  else if (free && today >= toDay(row.due) - 1) tell.push(noCandidate(input, row, chosen.reasons));

  const left = Date.parse(row.due) - now.getTime();
  // Only the newest one: after a week without power the others are past.
  const reminder = Math.min(...cadence.reminders.filter((seconds) => left <= seconds * 1000));
  if (Number.isFinite(reminder)) tell.push(remind(input, row, reminder, propose?.build));
  return propose ? { propose, tell } : { tell };
}

/** The newest healthy build of a date's window, or why each of its builds is none. */
export function chooseCandidate(
  input: CadenceInput,
  { windowFrom, due }: Pick<CadenceRow, 'windowFrom' | 'due'>,
): { build?: string; reasons: string[] } {
  const reasons: string[] = [];
  for (const build of [...input.builds].sort((a, b) => compareIds(a.id, b.id))) {
    const day = dateOfBuild(build.id);
    if (day < windowFrom || day > due) continue;
    const reason = unfit(input, build, windowFrom);
    if (reason === undefined) return { build: build.id, reasons };
    reasons.push(`${build.id}: ${reason}`);
  }
  return { reasons };
}

const dateOfBuild = (id: string) => `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}`;

/** Why a build cannot be the candidate; undefined for one that can. */
function unfit(input: CadenceInput, { id, metas }: PublishedBuild, windowFrom: string): string | undefined {
  const { stream, view, releases, now } = input;
  if (releases.some(({ build, accepted }) => id === build || id === accepted)) return 'was released already';
  const current = view.current ?? releases.findLast(({ rolledBack }) => rolledBack !== true)?.build;
  const accepted = releases.find(({ build }) => build === current)?.accepted ?? current;
  if (accepted !== undefined && id <= accepted) return `is older than the release ${current}`;
  const veto = view.vetoes.find(({ build }) => build === id);
  if (veto) return `vetoed by ${veto.by}`;
  for (const { build, decision, at, by, reason, refused } of view.history) {
    if (build !== id || toDay(at) < toDay(windowFrom)) continue;
    // How a promotion ended, as the stream workflow notes it; a rejection is a veto until its author lifts it.
    if (decision === 'withdrawn') return reason ?? 'withdrawn';
    if (refused !== undefined && by === 'schedule' && now.getTime() - Date.parse(at) < refusedMs)
      return `the proposal was refused: ${refused}`;
  }
  for (const arch of stream.architectures)
    if (!metas.some(({ architecture }) => architecture === arch)) return `lacks ${arch}`;
  const tested = stream.images.filter(({ bootTest }) => bootTest).map(({ kind }) => kind);
  for (const { architecture, treeline } of metas) {
    const results = treeline.tests.boot;
    for (const kind of new Set([...tested, ...Object.keys(results)])) {
      const outcome = results[kind]?.outcome ?? 'not made';
      if (outcome !== 'passed') return `boot test of ${kind} (${architecture}): ${outcome}`;
    }
  }
  const soak = stream.release?.cadence?.soak ?? 0;
  const made = Math.max(...metas.map((meta) => Date.parse(meta['ostree-timestamp'])));
  const age = (now.getTime() - made) / 1000;
  return age < soak ? `is ${formatSeconds(age)} old, and must soak for ${formatSeconds(soak)}` : undefined;
}
