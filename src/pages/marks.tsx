/** Badges of releases, promotions and due dates: each in colour, sign and word. */
import type { ComponentChildren } from 'preact';
import type { CadenceRow } from '../domain/cadence.js';
import type { PromotionPhase } from '../domain/promotion.js';

type Tone = 'good' | 'warn' | 'bad' | 'plain';

const signs: Record<Tone, string> = { good: '✓', warn: '●', bad: '✗', plain: '○' };

export const Mark = ({ tone, children }: { tone: Tone; children: ComponentChildren }) => (
  <span class={`badge ${tone}`}>
    <span aria-hidden="true">{signs[tone]} </span>
    {children}
  </span>
);

interface Phase {
  readonly tone: Tone;
  readonly word: string;
  /** What it means for readers of the page. */
  readonly meaning: string;
}

const phases: Record<PromotionPhase, Phase> = {
  proposed: { tone: 'warn', word: 'proposed', meaning: 'It waits for approvals.' },
  rebuilding: { tone: 'warn', word: 'being rebuilt', meaning: 'It is being rebuilt and signed.' },
  deciding: {
    tone: 'warn',
    word: 'waits for a decision',
    meaning: 'Its rebuild has ended; the SIG decides whether it is released.',
  },
  ready: { tone: 'good', word: 'approved', meaning: 'It goes out when the release before it has ended.' },
  releasing: { tone: 'good', word: 'being released', meaning: 'It is being released now.' },
  failed: {
    tone: 'bad',
    word: 'failed',
    meaning:
      'The release failed before readers saw any of it: they still have the former one. It waits for a retry.',
  },
  released: { tone: 'good', word: 'released', meaning: 'It was released.' },
  rejected: { tone: 'bad', word: 'rejected', meaning: 'An approver has rejected it.' },
  withdrawn: { tone: 'plain', word: 'withdrawn', meaning: 'The proposal was withdrawn.' },
  expired: { tone: 'plain', word: 'expired', meaning: 'There were not enough approvals in time.' },
  abandoned: { tone: 'plain', word: 'abandoned', meaning: 'The SIG has ended the work on it.' },
  superseded: { tone: 'plain', word: 'superseded', meaning: 'A newer build took its place.' },
};
export const phaseOf = (phase: PromotionPhase): Phase => phases[phase];

const states: Record<CadenceRow['state'], readonly [Tone, string]> = {
  released: ['good', 'released'],
  missed: ['bad', 'missed'],
  due: ['warn', 'due next'],
  coming: ['plain', 'coming'],
};

export function DueState({ state }: { state: CadenceRow['state'] }) {
  const [tone, word] = states[state];
  return <Mark tone={tone}>{word}</Mark>;
}

/** A day of the calendar: what is no date stays as it is. */
export const Day = ({ date }: { date: string }) => <time dateTime={date}>{date}</time>;

/** Milliseconds. */
export const dayLength = 86_400_000;

/** Midnight UTC of a date or moment in ISO 8601, in milliseconds; NaN for anything else. */
export const dayStart = (date: string) => Date.parse(date.slice(0, 10));

/** `2026-11-24` */
export const dayOf = (milliseconds: number) => new Date(milliseconds).toISOString().slice(0, 10);

/** `Nov` */
export const monthName = (date: string) =>
  new Date(date).toLocaleString('en-GB', { month: 'short', timeZone: 'UTC' }).slice(0, 3);
