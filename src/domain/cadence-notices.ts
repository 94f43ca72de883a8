/** What the SIG is told of release dates: plain text, for mail and webhooks. */
import type { CadenceRow } from './cadence.js';
import { fromDay, toDay } from './days.js';
import { isOpen, type StreamView } from './promotion.js';
import type { Stream } from './stream.js';

export interface CadenceTell {
  /** `reminder-<due>-<seconds before>`, `missed-<due>`, `no-candidate-<due>`, `candidate-<due>-<build>`. */
  readonly key: string;
  readonly event: 'reminder' | 'missed' | 'no-candidate' | 'candidate';
  readonly subject: string;
  readonly text: string;
  readonly build?: string;
}

/** How the stream stands at the moment. */
export interface Situation {
  readonly stream: Stream;
  readonly now: Date;
  readonly view: StreamView;
}

export const openPromotions = ({ view }: Situation) => view.promotions.filter(({ phase }) => isOpen(phase));

/** The release and date, and how the stream stands: the same paragraph in everything that is told. */
function standing(input: Situation, { due, upstream }: CadenceRow): string[] {
  const name = input.stream.release?.cadence?.upstream?.name ?? '';
  const open = openPromotions(input).map(({ build, phase, approvals, needed, missing }) =>
    phase === 'proposed'
      ? `Build ${build} is proposed: ${approvals.length} of ${needed} approvals; not yet from ${missing.join(', ') || 'anybody'}.`
      : `Build ${build} is ${phase}.`,
  );
  return [
    ...(upstream ? [`It follows ${name} ${upstream.number} of ${upstream.date}.`] : []),
    ...open,
    ...(open.length === 0 && fromDay(toDay(input.now.toISOString())) <= due ? ['No build is proposed.'] : []),
  ];
}

const message = (lines: readonly string[], stream: Stream) =>
  [...lines, '', `The dates: treeline cadence ${stream.name}`, ''].join('\n');

export function missed(input: Situation, row: CadenceRow): CadenceTell {
  const { stream } = input;
  return {
    key: `missed-${row.due}`,
    event: 'missed',
    subject: `[${stream.name}] The release of ${row.due} was missed`,
    text: message(
      [
        `${stream.title}: the release that was due on ${row.due} has not been made.`,
        ...standing(input, row),
        `A release that is made before the next candidate window opens still counts for this date.`,
      ],
      stream,
    ),
  };
}

export function remind(
  input: Situation,
  row: CadenceRow,
  seconds: number,
  proposing: string | undefined,
): CadenceTell {
  const { stream, now } = input;
  const days = toDay(row.due) - toDay(now.toISOString());
  const when = days === 0 ? 'today' : days === 1 ? 'tomorrow' : `in ${days} days`;
  const lines =
    proposing === undefined ? standing(input, row) : [`Build ${proposing} is being proposed for it.`];
  return {
    key: `reminder-${row.due}-${seconds}`,
    event: 'reminder',
    subject: `[${stream.name}] A release is due ${when}, on ${row.due}`,
    text: message(
      [`${stream.title}: a release is due ${when}, on ${row.due} (UTC), and is not made yet.`, ...lines],
      stream,
    ),
  };
}

export function proposed(input: Situation, row: CadenceRow, build: string): CadenceTell {
  const { stream } = input;
  return {
    key: `candidate-${row.due}-${build}`,
    event: 'candidate',
    subject: `[${stream.name}] Candidate for ${row.due}: ${build}`,
    text: message(
      [
        `${stream.title}: build ${build} is the newest healthy one for the release that is due on ${row.due}.`,
        ...(row.upstream ? standing(input, row).slice(0, 1) : []),
        `Look at it: treeline show ${stream.name}/${build}`,
        `Approve it: treeline approve ${stream.name} ${build}`,
      ],
      stream,
    ),
    build,
  };
}

export function noCandidate(input: Situation, row: CadenceRow, reasons: readonly string[]): CadenceTell {
  const { stream } = input;
  return {
    key: `no-candidate-${row.due}`,
    event: 'no-candidate',
    subject: `[${stream.name}] No candidate for ${row.due}`,
    text: message(
      [
        `${stream.title}: no build fits for the release that is due on ${row.due}.`,
        `Builds from ${row.windowFrom} on:`,
        ...(reasons.length > 0 ? reasons.map((reason) => `- ${reason}`) : ['- none was published']),
        `A person may propose any build: treeline promote ${stream.name} BUILD`,
      ],
      stream,
    ),
  };
}
