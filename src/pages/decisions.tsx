/** Who decided what and when, refused attempts too. */
import { treeline, type DecisionRecord } from '../domain/promotion.js';
import { formatFingerprint } from './facts.js';
import { Columns, Table, When } from './layout.js';
import { Mark } from './marks.js';

export const Decisions = ({ history }: { history: readonly DecisionRecord[] }) => (
  <section aria-labelledby="decisions">
    <h2 id="decisions">Decisions</h2>
    {history.length === 0 ? (
      <p>Nothing was decided yet.</p>
    ) : (
      <Table caption="Decisions, newest first">
        <Columns names={['When', 'Who', 'Decision', 'Build', 'Outcome', 'Reason']} />
        <tbody>
          {history.map((record, index) => (
            <Row record={record} key={index} />
          ))}
        </tbody>
      </Table>
    )}
  </section>
);

const Row = ({
  record: { at, by, fingerprint, decision, build, refused, reason },
}: {
  record: DecisionRecord;
}) => (
  <tr>
    <td>
      <When at={at} />
    </td>
    <th scope="row" class="names">
      {by}
      {by !== treeline && (
        <div class="quiet">
          {fingerprint ? (
            <code title={formatFingerprint(fingerprint)}>{fingerprint.slice(-16)}</code>
          ) : (
            'without a statement'
          )}
        </div>
      )}
    </th>
    <td>{decision}</td>
    <td>{build}</td>
    <td class="reason">
      {by !== treeline && <Outcome refused={refused} signed={fingerprint !== undefined} />}
    </td>
    <td class="reason">{reason}</td>
  </tr>
);

function Outcome({ refused, signed }: { refused: string | undefined; signed: boolean }) {
  if (refused !== undefined)
    return (
      <>
        <Mark tone="bad">refused</Mark>
        <div>{refused}</div>
      </>
    );
  return signed ? <Mark tone="good">counts</Mark> : <Mark tone="plain">proposes only</Mark>;
}
