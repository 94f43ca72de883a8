/** When releases are due: a table, and the weeks before the next date. */
import type { CadenceRow } from '../domain/cadence.js';
import { Columns, Table } from './layout.js';
import { releaseLink } from './links.js';
import { Day, dayLength, dayOf, dayStart, DueState, monthName } from './marks.js';

interface CalendarProps {
  /** Oldest first. */
  readonly rows: readonly CadenceRow[];
  readonly upstream: string;
}

const sources = { rule: 'by rule', list: 'from the list', override: 'override' } as const;

export function Calendar({ rows, upstream }: CalendarProps) {
  const due = rows.find(({ state }) => state === 'due');
  const map = rows.some((row) => row.upstream);
  return (
    <section aria-labelledby="calendar">
      <h2 id="calendar">Calendar</h2>
      {rows.length === 0 ? (
        <p>This stream has no fixed dates: a release comes when the SIG decides on one.</p>
      ) : (
        <>
          {due && <Weeks row={due} upstream={upstream} />}
          <Table caption="Due dates, oldest first">
            <Columns
              names={['Due', 'State', 'Release', 'Candidate window', ...(map ? [`${upstream} build`] : [])]}
            />
            <tbody>
              {rows.map((row) => (
                <tr key={row.due} class={row.state === 'due' ? 'marked' : undefined}>
                  <th scope="row">
                    <Day date={row.due} />
                  </th>
                  <td>
                    <DueState state={row.state} />
                  </td>
                  <td>{row.release && <a href={releaseLink(row.release)}>{row.release}</a>}</td>
                  <td class="window">
                    <Day date={row.windowFrom} /> to <Day date={row.due} />
                  </td>
                  {map && <td>{row.upstream && <Upstream {...row.upstream} />}</td>}
                </tr>
              ))}
            </tbody>
          </Table>
        </>
      )}
    </section>
  );
}

const Upstream = ({ number, date, from }: NonNullable<CadenceRow['upstream']>) => (
  <span class="window">
    <b>{number}</b>, <Day date={date} /> <span class="quiet">({sources[from]})</span>
  </span>
);

const weekDays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const maxWeeks = 6;

/** Whole weeks, Monday first, from the start of the window (or the upstream build before it) to the due date. */
function Weeks({ row, upstream }: { row: CadenceRow; upstream: string }) {
  const due = dayStart(row.due);
  const window = dayStart(row.windowFrom);
  const first = Math.min(window, row.upstream ? dayStart(row.upstream.date) : window);
  const monday = (day: number) => day - ((new Date(day).getUTCDay() + 6) % 7) * dayLength;
  const last = monday(due);
  const start = Math.max(monday(first), last - (maxWeeks - 1) * 7 * dayLength);
  const weeks = (last - start) / (7 * dayLength) + 1;
  const notes = (date: string) => [
    ...(date === row.due ? ['due'] : []),
    ...(date === row.upstream?.date ? [upstream] : []),
  ];
  return (
    <table class="weeks">
      <caption>The weeks before {row.due}; the candidate window is shaded</caption>
      <thead>
        <tr>
          {weekDays.map((day) => (
            <th scope="col" key={day}>
              {day}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: weeks }, (_, week) => (
          <tr key={week}>
            {weekDays.map((name, place) => {
              const day = start + (7 * week + place) * dayLength;
              const date = dayOf(day);
              const inside = day >= window && day <= due;
              return (
                <td key={name} class={date === row.due ? 'due' : inside ? 'inside' : undefined}>
                  <DayNumber date={date} month={date.endsWith('-01') || (week === 0 && place === 0)} />
                  {inside && <span class="unseen"> candidate window</span>}
                  {notes(date).map((note) => (
                    <div class="what" key={note}>
                      {note}
                    </div>
                  ))}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const DayNumber = ({ date, month }: { date: string; month: boolean }) => (
  <time dateTime={date}>
    {Number(date.slice(8))}
    {month && ` ${monthName(date)}`}
  </time>
);
