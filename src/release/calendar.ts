/** The stream's release dates, with the upstream builds that they follow. */
import type { Host } from '../host.js';
import { cadenceRows, releasesOf, type CadenceRow } from '../domain/cadence.js';
import type { ReleaseIndex, ReleaseNotes } from '../domain/release.js';
import type { Stream } from '../domain/stream.js';
import type { UpstreamBuild, UpstreamSettings } from '../domain/upstream.js';
import type { Step } from '../steps/step.js';
import { listReader, loadUpstream } from './upstream.js';

/** The upstream's list. It is only told of: where it is not available, the log says so, the rule does, and the caller goes on. */
export async function upstreamList(
  step: Step,
  upstream: UpstreamSettings | undefined,
): Promise<UpstreamBuild[] | undefined> {
  if (!upstream) return undefined;
  try {
    return await loadUpstream(upstream, listReader(step.signal));
  } catch (error) {
    step.signal.throwIfAborted();
    step.note(`release.cadence.upstream.builds: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Rows of the calendar, oldest first; none for a stream without a cadence. */
export async function calendarOf(
  step: Step,
  host: Host,
  stream: Stream,
  index: ReleaseIndex,
  { now, past, coming }: { now: Date; past: number; coming: number },
): Promise<CadenceRow[]> {
  const cadence = stream.release?.cadence;
  if (!cadence) return [];
  const upstream = await upstreamList(step, cadence.upstream);
  return cadenceRows(cadence, { now, past, coming, releases: releasesOf(index), upstream });
}

/** The upstream build that a release of today follows, if the stream's cadence has an upstream. */
export async function upstreamOfToday(
  step: Step,
  host: Host,
  stream: Stream,
  index: ReleaseIndex,
): Promise<ReleaseNotes['upstream']> {
  const now = new Date();
  const today = now.toISOString().slice(0, 10);
  const rows = await calendarOf(step, host, stream, index, { now, past: 1, coming: 1 });
  const row = rows.findLast(({ windowFrom }) => windowFrom <= today) ?? rows[0];
  const name = stream.release?.cadence?.upstream?.name;
  if (!row?.upstream || name === undefined) return undefined;
  return { name, number: row.upstream.number, date: row.upstream.date };
}
