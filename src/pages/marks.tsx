/** Badges of releases, promotions and due dates: each in colour, sign and word. */
import type { ComponentChildren } from 'preact';
import type { CadenceRow } from '../domain/cadence.js';
import type { PromotionPhase } from '../domain/promotion.js';
import { verdictWords, type CasePhase, type Severity, type Verdict } from '../domain/security.js';
import { severityWord } from '../domain/security.js';

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

const casePhases: Record<CasePhase, Phase> = {
  joining: { tone: 'warn', word: 'opened', meaning: 'It waits a moment for advisories that come together.' },
  building: { tone: 'warn', word: 'being built', meaning: 'Its packages are being rebuilt and tested.' },
  waiting: { tone: 'warn', word: 'waits for approval', meaning: 'Nothing is left but the approval.' },
  differs: {
    tone: 'bad',
    word: 'differs',
    meaning: 'Something else than the fix changed: an approver has to accept that.',
  },
  ready: { tone: 'good', word: 'approved', meaning: 'It goes out when the release before it has ended.' },
  releasing: { tone: 'good', word: 'being released', meaning: 'It is being released now.' },
  failed: { tone: 'bad', word: 'failed', meaning: 'Readers saw nothing of it. It waits for a retry.' },
  released: { tone: 'good', word: 'released', meaning: 'It was released.' },
  dismissed: { tone: 'plain', word: 'dismissed', meaning: 'An approver has dismissed it.' },
  fixed: { tone: 'good', word: 'fixed', meaning: 'Another release has brought the fix.' },
};
export const casePhaseOf = (phase: CasePhase): Phase => casePhases[phase];

const verdictTones: Record<Verdict, Tone> = {
  acted: 'warn',
  fixed: 'good',
  unaffected: 'plain',
  absent: 'plain',
  below: 'warn',
  'not-core': 'warn',
  unfixed: 'bad',
  unclear: 'bad',
  withdrawn: 'plain',
};

export const VerdictMark = ({ verdict }: { verdict: Verdict }) => (
  <Mark tone={verdictTones[verdict]}>{verdictWords[verdict]}</Mark>
);

const severityTones: Record<Severity, Tone> = {
  critical: 'bad',
  important: 'bad',
  moderate: 'warn',
  unknown: 'warn',
  low: 'plain',
  none: 'plain',
};

export const SeverityMark = ({ severity }: { severity: Severity }) => (
  <span class={`badge ${severityTones[severity]}`}>{severityWord(severity)}</span>
);

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
