/** The boot tests of a build: each image, each attempt, with its console log. */
import type { BootAttempt, BootTestResult } from '../domain/metadata.js';
import { formatSeconds } from '../domain/units.js';
import { Badge } from './badges.js';
import { logLink } from './facts.js';
import { Columns, Table } from './layout.js';

const accelerators = { kvm: 'KVM', tcg: 'TCG (emulated)' } as const;

/** A flaky test shows every attempt: a pass after a failure is not the same as a pass. */
export function BootTests({ tests }: { tests: Readonly<Record<string, BootTestResult>> }) {
  const kinds = Object.entries(tests);
  return (
    <section aria-labelledby="boot">
      <h2 id="boot">Boot test</h2>
      {kinds.length === 0 ? (
        <p>No image of this build was booted.</p>
      ) : (
        <Table caption="Boot test attempts by image">
          <Columns
            names={['Image', 'Result', 'Attempt', 'Verdict', 'Time', 'Accelerator', 'Console']}
            numbers={['Attempt', 'Time']}
          />
          {kinds.map(([kind, { outcome, attempts }]) => (
            <tbody key={kind}>
              {attempts.map((attempt, index) => (
                <tr key={index}>
                  {index === 0 && (
                    <>
                      <th scope="rowgroup" rowSpan={attempts.length}>
                        {kind}
                      </th>
                      <td rowSpan={attempts.length}>
                        <Badge outcome={outcome} />
                      </td>
                    </>
                  )}
                  <Attempt attempt={attempt} number={index + 1} />
                </tr>
              ))}
            </tbody>
          ))}
        </Table>
      )}
    </section>
  );
}

const Attempt = ({ attempt, number }: { attempt: BootAttempt; number: number }) => (
  <>
    <td class="number">{number}</td>
    <td class="reason">
      {attempt.passed ? 'passed' : 'failed'}
      {attempt.reason && <div class="quiet">{attempt.reason}</div>}
    </td>
    <td class="number">{formatSeconds(attempt.seconds)}</td>
    <td class="reason">
      {accelerators[attempt.accelerator]}
      {attempt.remarks?.map((remark) => (
        <div class="quiet" key={remark}>
          {remark}
        </div>
      ))}
    </td>
    <td>
      <a href={logLink(attempt.log)}>{attempt.log.replace(/^logs\//, '')}</a>
    </td>
  </>
);
