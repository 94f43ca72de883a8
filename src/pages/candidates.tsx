/** What may become the next release, and who still has to say so. */
import type { CadenceRow } from '../domain/cadence.js';
import { releasedAs, reportsLacking, type Promotion, type StreamView } from '../domain/promotion.js';
import { Attempts } from './attempts.js';
import { fileLink, shellWord } from './facts.js';
import { When } from './layout.js';
import { pageLink } from './links.js';
import { Day, Mark, phaseOf } from './marks.js';
import { Reports } from './reports.js';
import type { ReleaseStreamFacts } from './types.js';

interface CandidatesProps {
  readonly view: StreamView;
  readonly approvers: readonly string[];
  readonly calendar: readonly CadenceRow[];
  readonly stream: ReleaseStreamFacts;
}

/** The open promotions and vetoes. */
export function Candidates({ view, approvers, calendar, stream }: CandidatesProps) {
  const due = calendar.find(({ state }) => state === 'due');
  const inWork = view.inWork !== null && !view.promotions.some(({ build }) => build === view.inWork);
  return (
    <section aria-labelledby="candidate">
      <h2 id="candidate">Next release</h2>
      {due && (
        <p>
          Due on <Day date={due.due} />. Builds from <Day date={due.windowFrom} /> on may become the
          candidate.
        </p>
      )}
      {inWork && (
        <p>
          <Mark tone="warn">in progress</Mark> {view.inWork} is being released or rolled back now.
        </p>
      )}
      {view.promotions.length === 0 && <p>No build is proposed at the moment.</p>}
      {view.promotions.map((promotion) => (
        <Candidate promotion={promotion} approvers={approvers} stream={stream} key={promotion.build} />
      ))}
      {view.vetoes.length > 0 && (
        <>
          <h3>Rejected builds</h3>
          <ul>
            {view.vetoes.map(({ build, by }) => (
              <li key={build + by}>
                {build}, by {by}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

interface CandidateProps {
  readonly promotion: Promotion;
  readonly approvers: readonly string[];
  readonly stream: ReleaseStreamFacts;
}

function Candidate({ promotion, approvers, stream }: CandidateProps) {
  const { build, phase, proposedBy, proposedAt, onto, approvals, needed, expires, note, unfixed } = promotion;
  const { tone, word, meaning } = phaseOf(phase);
  const given = Math.min(approvals.length, needed);
  const lacking = reportsLacking(promotion);
  return (
    <article class={`card ${phase === 'failed' ? 'bad' : ''}`} aria-label={`Candidate ${build}`}>
      <p class="big">
        {build} <Mark tone={tone}>{word}</Mark>
      </p>
      <p>
        {meaning}
        {phase === 'proposed' && ` ${still(promotion)}`}
      </p>
      {note && <p class="text note">{note}</p>}
      {unfixed && unfixed.length > 0 && (
        <p class="note">It lacks fixes that readers have: of the security cases {unfixed.join(', ')}.</p>
      )}
      <Progress given={given} needed={needed} />
      <Approvers promotion={promotion} approvers={approvers} />
      {promotion.reports && promotion.reports.length > 0 && <Reports reports={promotion.reports} />}
      {lacking > 0 && (
        <p class="note">
          {lacking} more passing test {lacking === 1 ? 'report is' : 'reports are'} needed:{' '}
          <code>
            treeline report {shellWord(stream.name)} {shellWord(releasedAs(promotion))} pass
          </code>
        </p>
      )}
      <dl class="facts">
        <dt>Proposed</dt>
        <dd>
          <When at={proposedAt} />, by {proposedBy}
        </dd>
        {phase === 'proposed' && (
          <>
            <dt>Ends by itself</dt>
            <dd>
              <When at={expires} />
            </dd>
          </>
        )}
        <dt>Follows</dt>
        <dd>{onto ? `release ${onto}` : 'none: it would be the first release'}</dd>
        <BuildPages build={build} stream={stream} />
        {phase === 'proposed' && (
          <>
            <dt>To approve</dt>
            <dd>
              <code>
                treeline approve {shellWord(stream.name)} {shellWord(build)}
              </code>
            </dd>
          </>
        )}
      </dl>
      {promotion.attempts && <Attempts promotion={promotion} attempts={promotion.attempts} stream={stream} />}
    </article>
  );
}

/** Whose approvals are still wanted. */
function still({ approvals, needed, missing }: Promotion): string {
  const left = needed - approvals.length;
  if (left <= 0) return '';
  const names = new Intl.ListFormat('en-GB', {
    type: missing.length > left ? 'disjunction' : 'conjunction',
  }).format(missing);
  const from = missing.length > 0 ? ` from ${names}` : ', but nobody is left to give it';
  return `${left} more ${left === 1 ? 'approval is' : 'approvals are'} needed${from}.`;
}

/** A bar of as many parts as approvals are needed. */
export const Progress = ({ given, needed }: { given: number; needed: number }) => (
  <div class="progress">
    <svg role="img" aria-label={`${given} of ${needed} approvals`}>
      {Array.from({ length: needed }, (_, part) => (
        <rect
          class={part < given ? 'given' : 'open'}
          x={`${(100 * part) / needed + 0.5}%`}
          width={`${100 / needed - 1}%`}
          y="1"
          height="10"
          rx="3"
          key={part}
        />
      ))}
    </svg>
    <span aria-hidden="true">
      {given} of {needed} approvals
    </span>
  </div>
);

function Approvers({ promotion: { approvals, missing, needed }, approvers }: Omit<CandidateProps, 'stream'>) {
  const given = new Set(approvals.map(({ approver }) => approver));
  const others = [...new Set([...missing, ...approvers])].filter((name) => !given.has(name));
  const open = approvals.length < needed;
  return (
    <ul class="approvers">
      {approvals.map(({ approver, at }) => (
        <li key={approver}>
          <Mark tone="good">approved</Mark> {approver}, <When at={at} />
        </li>
      ))}
      {others.map((name) => (
        <li key={name}>
          <Mark tone="plain">{open && missing.includes(name) ? 'not yet' : 'not needed'}</Mark> {name}
        </li>
      ))}
    </ul>
  );
}

function BuildPages({ build, stream }: { build: string; stream: ReleaseStreamFacts }) {
  if (!stream.builds) return null;
  const folder = stream.builds.replace(/\/+$/, '');
  return (
    <>
      <dt>Build</dt>
      <dd>
        {stream.architectures.map((arch, index) => (
          <>
            {index > 0 && ', '}
            <a href={pageLink(`${folder}/${fileLink(`builds/${build}/${arch}/index.html`)}`)}>{arch}</a>
          </>
        ))}
      </dd>
    </>
  );
}
