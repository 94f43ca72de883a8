/** The releases and due dates as a picture; the tables beside it say the same in words. */
import {
  layOut,
  maxReleases,
  type MarkKind,
  type TimelineInput,
  type TimelineMark,
} from './timeline-layout.js';

/** Places across are per cent: the picture grows with the page while its letters keep their size. */
export function Timeline(input: TimelineInput) {
  const { axis, foot, height, releases, dates, months, now, window } = layOut(input);
  return (
    <>
      <div class="scroll timeline" role="region" aria-label="Timeline" tabIndex={0}>
        <svg
          role="img"
          aria-label="Timeline of the releases and of missed and next due dates; the tables below say the same"
          height={height}
        >
          <line class="axis" x1="0" x2="100%" y1={axis} y2={axis} />
          {window && (
            <rect class="window" x={`${window.x}%`} width={`${window.width}%`} y={axis - 4} height="8" />
          )}
          {months.map(({ x, label }) => (
            <g class="month" key={x}>
              <Upright x={x} from={axis} to={foot - 11} />
              <text x={`${x}%`} y={foot}>
                {label}
              </text>
            </g>
          ))}
          <g class="now">
            <Upright x={now.x} from={18} to={foot - 19} />
            <text x={`${now.x}%`} y="13">
              {now.label}
            </text>
          </g>
          {releases.map(({ x, y, label }) => (
            <Upright x={x} from={y + 4} to={axis} key={label} />
          ))}
          {[...releases, ...dates].map((mark) => (
            <Labelled mark={mark} axis={axis} key={mark.label} />
          ))}
        </svg>
      </div>
      <Legend />
      {input.releases.length > maxReleases && (
        <p class="quiet">The picture shows the last {maxReleases} releases; the table has all.</p>
      )}
    </>
  );
}

const Upright = ({ x, from, to }: { x: number; from: number; to: number }) => (
  <line x1={`${x}%`} x2={`${x}%`} y1={from} y2={to} />
);

const Labelled = ({ mark: { kind, label, x, y }, axis }: { mark: TimelineMark; axis: number }) => (
  <g class={kind}>
    <Shape kind={kind} x={`${x}%`} y={axis} />
    <text x={`${x}%`} y={y}>
      {label}
    </text>
  </g>
);

/** Each kind has a form of its own, not a colour alone. */
function Shape({ kind, x, y }: { kind: MarkKind; x: string; y: number }) {
  const date = kind === 'due' || kind === 'missed';
  return (
    <svg class={`shape ${kind}`} x={x} y={y} overflow="visible">
      {kind === 'current' && <circle class="halo" r="11" />}
      {date ? <path d="M0 -8L8 0L0 8L-8 0Z" /> : <circle r="7" />}
      {(kind === 'back' || kind === 'missed') && <path d="M-3 -3L3 3M3 -3L-3 3" />}
    </svg>
  );
}

const legend: readonly (readonly [MarkKind, string])[] = [
  ['current', 'current release'],
  ['former', 'former release'],
  ['back', 'rolled back'],
  ['due', 'next due date and its window'],
  ['missed', 'missed due date'],
];

const Legend = () => (
  <ul class="legend" aria-hidden="true">
    {legend.map(([kind, words]) => (
      <li key={kind}>
        <svg width="26" height="26">
          <Shape kind={kind} x="50%" y={13} />
        </svg>
        {words}
      </li>
    ))}
  </ul>
);
