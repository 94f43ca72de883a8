/** How long each fix took: a bar per release, and a table that says the same. */
import { gravest, type SecurityCase } from '../domain/security.js';
import { momentsOf, moments, timeToFix, type Moment } from '../domain/time-to-fix.js';
import { formatSeconds } from '../domain/units.js';
import { releaseLink } from './links.js';
import { Columns, Table, When } from './layout.js';
import { SeverityMark } from './marks.js';

/** Those of released cases, newest first. */
export function TimesToFix({ cases, root }: { cases: readonly SecurityCase[]; root: string }) {
  const released = cases.filter(({ phase }) => phase === 'released');
  return (
    <section aria-labelledby="times">
      <h2 id="times">Time to fix</h2>
      {released.length === 0 ? (
        <p>No fix was released out of band yet.</p>
      ) : (
        <>
          <Bars cases={released} />
          <Times cases={released} root={root} />
        </>
      )}
    </section>
  );
}

/** Bars as SVG: the policy forbids inline styles, and places are attributes there. */
function Bars({ cases }: { cases: readonly SecurityCase[] }) {
  const longest = Math.max(1, ...cases.map(({ times }) => timeToFix(times).total ?? 0));
  return (
    <>
      <ol class="steps times">
        {cases.map((one) => (
          <li key={one.id}>
            <span>{one.advisories[0]?.id ?? one.id}</span>
            <Bar one={one} longest={longest} />
            <span class="number">{formatSeconds(timeToFix(one.times).total ?? 0)}</span>
          </li>
        ))}
      </ol>
      <ul class="legend" aria-hidden="true">
        {moments.slice(1).map((what) => (
          <li key={what} class={what}>
            <svg class="times" width="14" height="14">
              <rect class={what} width="14" height="14" />
            </svg>
            until {what}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Each part is in the colour of the moment that ends it. */
function Bar({ one, longest }: { one: SecurityCase; longest: number }) {
  const known = momentsOf(one.times);
  const start = Date.parse(known[0]?.at ?? '');
  const place = (at: string) => (100 * (Date.parse(at) - start)) / 1000 / longest;
  const words = known.map(
    ({ what, at }) => `${what} after ${formatSeconds((Date.parse(at) - start) / 1000)}`,
  );
  return (
    <svg viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label={words.join(', ')}>
      {known.slice(1).map(({ what, at }, index) => {
        const from = place(known[index]?.at ?? at);
        return (
          <rect
            class={what}
            x={from.toFixed(2)}
            width={Math.max(0, place(at) - from).toFixed(2)}
            height="1"
            key={what}
          />
        );
      })}
    </svg>
  );
}

const Times = ({ cases, root }: { cases: readonly SecurityCase[]; root: string }) => (
  <Table caption="Released fixes, newest first">
    <Columns
      names={['Advisories', 'Severity', 'Release', 'Time to fix', ...moments.map((what) => heads[what])]}
      numbers={['Time to fix']}
    />
    <tbody>
      {cases.map(({ id, advisories, build, times }) => (
        <tr key={id}>
          <th scope="row" class="name">
            {advisories.map((advisory) => (
              <div key={advisory.id}>{advisory.id}</div>
            ))}
            <div class="quiet">case {id}</div>
          </th>
          <td>{advisories.length > 0 && <SeverityMark severity={gravest(advisories)} />}</td>
          <td>{build && <a href={root + releaseLink(build)}>{build}</a>}</td>
          <td class="number">{formatSeconds(timeToFix(times).total ?? 0)}</td>
          {moments.map((what) => {
            const at = times[what];
            return <td key={what}>{at && <When at={at} />}</td>;
          })}
        </tr>
      ))}
    </tbody>
  </Table>
);

const heads: Record<Moment, string> = {
  published: 'Published',
  detected: 'Detected',
  built: 'Built and tested',
  approved: 'Approved',
  released: 'Released',
};
