/** The security cases that are open, and what became of those that ended without a release. */
import { cvesOf, gravest, isOpenCase, type PlannedChange, type SecurityCase } from '../domain/security.js';
import { Progress } from './candidates.js';
import { shellWord } from './facts.js';
import { Columns, Table, When } from './layout.js';
import { casePhaseOf, Mark, SeverityMark } from './marks.js';

interface CasesProps {
  /** Newest first. */
  readonly cases: readonly SecurityCase[];
  /** Name. */
  readonly stream: string;
}

export function OpenCases({ cases, stream }: CasesProps) {
  const open = cases.filter(({ phase }) => isOpenCase(phase));
  return (
    <section aria-labelledby="cases">
      <h2 id="cases">In work</h2>
      {open.length === 0 && <p>No security release is in progress.</p>}
      {open.map((one) => (
        <Case one={one} stream={stream} key={one.id} />
      ))}
    </section>
  );
}

function Case({ one, stream }: { one: SecurityCase; stream: string }) {
  const { id, phase, openedBy, advisories, approvals, needed, missing, plan, build, times, note } = one;
  const { tone, word, meaning } = casePhaseOf(phase);
  return (
    <article class={`card ${phase === 'failed' ? 'bad' : ''}`} aria-label={`Case ${id}`}>
      <p class="big">
        {id} <Mark tone={tone}>{word}</Mark>
      </p>
      <p>{meaning}</p>
      {note && <p class="text note">{note}</p>}
      <Progress given={Math.min(approvals.length, needed)} needed={needed} />
      <dl class="facts">
        <dt>Opened</dt>
        <dd>
          <When at={times.detected} />, by {openedBy === 'watch' ? 'the advisory watch' : openedBy}
        </dd>
        {advisories.length > 0 && (
          <>
            <dt>Advisories</dt>
            <dd>
              <SeverityMark severity={gravest(advisories)} />
              {advisories.map((advisory) => (
                <div key={advisory.id}>
                  {advisory.id} <span class="quiet">{advisory.title}</span>
                </div>
              ))}
              <div class="quiet">{cvesOf(advisories).join(', ')}</div>
            </dd>
          </>
        )}
        <dt>Approved by</dt>
        <dd>{approvals.map(({ approver }) => approver).join(', ') || 'nobody yet'}</dd>
        {approvals.length < needed && (
          <>
            <dt>Waits for</dt>
            <dd>{missing.join(', ') || 'nobody is left'}</dd>
            {plan && (
              <>
                <dt>To approve</dt>
                <dd>
                  <code>
                    treeline security {shellWord(stream)} --approve {shellWord(id)}
                  </code>
                </dd>
              </>
            )}
          </>
        )}
        {plan && (
          <>
            <dt>Made from</dt>
            <dd>release {plan.base}</dd>
          </>
        )}
        {build && (
          <>
            <dt>Build</dt>
            <dd>{build}</dd>
          </>
        )}
      </dl>
      {plan ? <Plan packages={plan.packages} id={id} /> : <Asked one={one} />}
    </article>
  );
}

const Plan = ({ packages, id }: { packages: readonly PlannedChange[]; id: string }) => (
  <Table caption={`Packages that case ${id} changes`}>
    <Columns names={['Package', 'Released', 'Fixed', 'Why']} />
    <tbody>
      {packages.map(({ name, from, to, why }) => (
        <tr key={name}>
          <th scope="row" class="name">
            {name}
          </th>
          <td>{from ?? <span class="quiet">added</span>}</td>
          <td>{to ?? <span class="quiet">removed</span>}</td>
          <td>{why === 'fix' ? 'the fix' : 'needed by it'}</td>
        </tr>
      ))}
    </tbody>
  </Table>
);

const Asked = ({ one: { fixes } }: { one: SecurityCase }) => (
  <p>
    Packages to fix: {fixes.map(({ name, evr }) => `${name} (${evr})`).join(', ') || 'not known yet'}. What
    else they need is not known yet.
  </p>
);

/** Those that were dismissed, or that another release has fixed. */
export function EndedCases({ cases }: Pick<CasesProps, 'cases'>) {
  const ended = cases.filter(({ phase }) => phase === 'dismissed' || phase === 'fixed');
  if (ended.length === 0) return null;
  return (
    <Table caption="Cases that ended without a release of their own, newest first">
      <Columns names={['Case', 'Advisories', 'End', 'Why']} />
      <tbody>
        {ended.map(({ id, advisories, phase, note }) => (
          <tr key={id}>
            <th scope="row">{id}</th>
            <td>{advisories.map((advisory) => advisory.id).join(', ')}</td>
            <td>
              <Mark tone="plain">{casePhaseOf(phase).word}</Mark>
            </td>
            <td class="reason">{note}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
