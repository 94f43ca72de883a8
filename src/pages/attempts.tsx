/** The attempts at a candidate's signed rebuild, and what the SIG says of the last one. */
import { agreed, type Attempt, type Promotion } from '../domain/promotion.js';
import type { ReworkChanges } from '../domain/rework-changes.js';
import { kindOf, rebuildDecisions } from '../domain/statement.js';
import { fileLink, shellWord } from './facts.js';
import { Columns, Table, When } from './layout.js';
import { pageLink } from './links.js';
import { Mark } from './marks.js';
import type { ReleaseStreamFacts } from './types.js';

interface AttemptsProps {
  readonly promotion: Promotion;
  readonly attempts: readonly Attempt[];
  readonly stream: ReleaseStreamFacts;
}

export function Attempts({ promotion, attempts, stream }: AttemptsProps) {
  const last = attempts.at(-1);
  const asked = last !== undefined && last.state !== 'running' && promotion.phase !== 'releasing';
  return (
    <>
      <h3>Signed rebuild</h3>
      <Table caption="Attempts, newest first">
        <Columns names={['Attempt', 'State', 'Signed build', 'Inputs', 'Began', 'Ended']} />
        <tbody>
          {[...attempts].reverse().map((attempt) => (
            <Row attempt={attempt} stream={stream} key={attempt.number} />
          ))}
        </tbody>
      </Table>
      <Said promotion={promotion} />
      {asked && <Asked promotion={promotion} last={last} stream={stream} />}
    </>
  );
}

const Row = ({ attempt, stream }: { attempt: Attempt; stream: ReleaseStreamFacts }) => (
  <tr>
    <th scope="row">{attempt.number}</th>
    <td class="reason">
      <State state={attempt.state} />
      {attempt.note && <div class="text">{attempt.note}</div>}
    </td>
    <td>
      <SignedBuild attempt={attempt} stream={stream} />
    </td>
    <td class="reason">{inputs(attempt)}</td>
    <td>
      <When at={attempt.began} />
    </td>
    <td>{attempt.ended && <When at={attempt.ended} />}</td>
  </tr>
);

const states = {
  running: ['warn', 'running'],
  differs: ['warn', 'differs'],
  testing: ['good', 'can be tested'],
  failed: ['bad', 'failed'],
  cancelled: ['plain', 'cancelled'],
} as const satisfies Record<Attempt['state'], readonly [string, string]>;

function State({ state }: Pick<Attempt, 'state'>) {
  const [tone, word] = states[state];
  return <Mark tone={tone}>{word}</Mark>;
}

/** With links to its pages at the testing location. */
function SignedBuild({
  attempt: { build, state },
  stream,
}: {
  attempt: Attempt;
  stream: ReleaseStreamFacts;
}) {
  if (build === undefined) return <>none yet</>;
  if (!stream.testing || state !== 'testing') return <>{build}</>;
  const folder = stream.testing.replace(/\/+$/, '');
  return (
    <>
      {build}
      {stream.architectures.map((arch) => (
        <div key={arch}>
          <a href={pageLink(`${folder}/${fileLink(`builds/${build}/${arch}/index.html`)}`)}>test {arch}</a>
        </div>
      ))}
    </>
  );
}

function inputs({ kind, reuse, changes }: Attempt): string {
  if (kind === 'first') return 'as accepted';
  const what = changes ? changed(changes) : 'the same once more';
  return `${what}${reuse === false ? '; all packages rebuilt' : ''}`;
}

function changed({ pin, drop, files }: ReworkChanges): string {
  const parts = [
    ...Object.entries(pin).map(([name, evra]) => `${name} ${evra}`),
    ...drop.map((name) => `without ${name}`),
    ...(files === 'current' ? ['stream files as they are now'] : []),
  ];
  return parts.join('; ');
}

/** What counts at the moment, by decision. */
function Said({ promotion: { votes, votesNeeded } }: { promotion: Promotion }) {
  const given = rebuildDecisions.filter((decision) => (votes?.[decision]?.length ?? 0) > 0);
  if (given.length === 0) return null;
  return (
    <ul class="approvers" aria-label="What the SIG says of the last attempt">
      {given.flatMap((decision) =>
        (votes?.[decision] ?? []).map(({ approver, at, reason }) => (
          <li key={decision + approver}>
            <Mark tone="good">{decision}</Mark> {approver}, <When at={at} />
            {votesNeeded && ` (${agreed(votes, decision).length} of ${votesNeeded[decision]})`}
            {reason && <span class="text">: {reason}</span>}
          </li>
        )),
      )}
    </ul>
  );
}

function Asked({
  promotion: { build, missing },
  last,
  stream,
}: {
  promotion: Promotion;
  last: Attempt;
  stream: ReleaseStreamFacts;
}) {
  const choices = rebuildDecisions.filter((name) => kindOf(name).offered(last.state));
  return (
    <dl class="facts">
      <dt>Awaiting</dt>
      <dd>{missing.length > 0 ? missing.join(', ') : 'nobody'}</dd>
      <dt>To decide</dt>
      <dd>
        <code>
          treeline decide {shellWord(stream.name)} {shellWord(build)}
        </code>{' '}
        and one of{' '}
        {choices.map((choice, index) => (
          <>
            {index > 0 && ', '}
            <code>{choice}</code>
          </>
        ))}
      </dd>
    </dl>
  );
}
