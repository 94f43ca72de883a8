/** The stylesheet of all pages, written as `treeline.css`. Colours keep WCAG AA (4.5:1) on their ground, light and dark. */
export const stylesheet = `:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f6f5; --line: #d5dbd8;
  --text: #1b211e; --quiet: #56615b; --link: #17623c;
  --good: #17623c; --good-ground: #e3f3ea;
  --warn: #7a4b00; --warn-ground: #fdf0d5;
  --bad: #a31621; --bad-ground: #fde8e8;
  --bar: #5aa37c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121614; --raised: #1b211e; --line: #343d38;
    --text: #e3e8e5; --quiet: #9faca5; --link: #7fd3a5;
    --good: #8fdcb1; --good-ground: #16301f;
    --warn: #f2c46d; --warn-ground: #35280c;
    --bad: #ffa3a3; --bad-ground: #3d1719;
    --bar: #3f8a62;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 0 1rem 3rem; max-width: 72rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word;
}
header, footer { padding: .75rem 0; color: var(--quiet); font-size: .875rem; }
header { border-bottom: 1px solid var(--line); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); }
header ol { display: flex; flex-wrap: wrap; gap: .25rem .5rem; margin: 0; padding: 0; list-style: none; }
header li + li::before { content: '/'; margin-right: .5rem; }
main:focus { outline: none; }
h1 { margin: 1.5rem 0 .5rem; font-size: 1.75rem; line-height: 1.2; }
h1 small { color: var(--quiet); font-size: 1rem; font-weight: 400; }
h2 { margin: 2rem 0 .5rem; font-size: 1.25rem; line-height: 1.3; }
p { margin: .5rem 0; max-width: 44rem; }
a { color: var(--link); text-underline-offset: .15em; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
code, pre { font: .8125rem/1.5 ui-monospace, monospace; }
code { overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .75rem 1rem; overflow-x: auto; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; }
pre code { overflow-wrap: normal; }
.lead { font-size: 1.0625rem; }
.quiet { color: var(--quiet); }
.problems { margin: 1rem 0; padding: .25rem 1rem; background: var(--bad-ground); color: var(--bad); border-radius: 6px; }
.unseen, .skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip:focus { position: absolute; top: .5rem; left: .5rem; z-index: 1; padding: .5rem 1rem; background: var(--ground); }
[hidden] { display: none !important; }

.scroll { margin: .5rem 0 1rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; position: relative; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { padding: .5rem .75rem; text-align: left; color: var(--quiet); }
th, td { padding: .4rem .75rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--raised); color: var(--quiet); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
tbody tr:hover { background: var(--raised); }
time, .size, .number, .badge, .version { white-space: nowrap; }
.number { text-align: right; }
.file { min-width: 14rem; overflow-wrap: anywhere; }
.checksum code { display: block; width: 32ch; }
.name { min-width: 10rem; }
.kinds { min-width: 11rem; }
.group { background: var(--raised); color: var(--quiet); font-weight: 400; }
.reason { min-width: 12rem; }
del { color: var(--quiet); text-decoration: none; }
ins { text-decoration: none; }

.badge { padding: .05rem .5rem; border-radius: 1rem; background: var(--raised); color: var(--quiet); font-size: .8125rem; font-weight: 600; }
.passed, .badge.good { background: var(--good-ground); color: var(--good); }
.flaky, .badge.warn { background: var(--warn-ground); color: var(--warn); }
.failed, .badge.bad { background: var(--bad-ground); color: var(--bad); }
.counts { display: inline-flex; gap: .6rem; white-space: nowrap; }
.added { color: var(--good); }
.removed { color: var(--bad); }

.streams { padding: 0; list-style: none; }
.streams li { margin: 1rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: 6px; }
.streams h2 { margin: 0; }
.streams code { color: var(--quiet); font-weight: 400; }
.neighbours { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 1rem 0; }
.facts dt { color: var(--quiet); }
.facts dd { margin: 0; min-width: 0; }
.files { margin: .5rem 0; padding-left: 1.25rem; columns: 18rem; column-gap: 2rem; }
.files li { break-inside: avoid; overflow-wrap: anywhere; }
.steps { display: grid; grid-template-columns: max-content minmax(4rem, 1fr) max-content; gap: .35rem 1rem; margin: .5rem 0; padding: 0; list-style: none; font-size: .875rem; }
.steps li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; }
.steps svg { width: 100%; height: .6rem; border-radius: 2px; }
.steps rect { fill: var(--bar); }
.times .detected { fill: var(--quiet); }
.times .built { fill: var(--bar); }
.times .approved { fill: var(--warn); }
.times .released { fill: var(--link); }
.filter { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; }
.filter input { flex: 1 1 12rem; max-width: 24rem; padding: .4rem .6rem; border: 1px solid var(--quiet); border-radius: 6px; background: var(--ground); color: inherit; font: inherit; }
.filter output { color: var(--quiet); font-size: .875rem; }

h3 { margin: 1.25rem 0 .25rem; font-size: 1rem; }
.kind { margin: 1rem 0 .25rem; font-size: .875rem; color: var(--quiet); }
.text { white-space: pre-line; overflow-wrap: anywhere; }
.banner { margin: 1rem 0; padding: .5rem 1rem; border-left: 4px solid var(--bad); border-radius: 6px; background: var(--bad-ground); color: var(--bad); }
.banner.warn { border-left-color: var(--warn); background: var(--warn-ground); color: var(--warn); }
.banner a { color: inherit; }
.card { margin: .75rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-left: 4px solid var(--bar); border-radius: 6px; }
.card.bad { border-left-color: var(--bad); }
.card .facts { margin: .75rem 0 0; }
.note { color: var(--bad); }
.big { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.progress { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; margin: .75rem 0 .5rem; font-size: .875rem; }
.progress svg { flex: 1 1 8rem; max-width: 24rem; height: 12px; }
.progress rect { fill: var(--raised); stroke: var(--quiet); }
.progress .given { fill: var(--bar); stroke: var(--bar); }
.approvers { margin: .5rem 0; padding: 0; list-style: none; }
.approvers li { margin: .25rem 0; }
.names { min-width: 9rem; }
.window { white-space: nowrap; }
.state { min-width: 11rem; }
.commits { white-space: nowrap; }
.references { min-width: 9rem; }
.title, th .quiet { font-weight: 400; }
tr.marked { background: var(--warn-ground); }
tr.marked .badge { background: var(--ground); }
.timeline svg { font-size: .75rem; font-variant-numeric: tabular-nums; }
/* From right to left, so that a narrow screen begins with the newest. */
.timeline { direction: rtl; }
.timeline > svg { direction: ltr; display: block; width: 100%; min-width: 46rem; }
.timeline text { fill: currentColor; text-anchor: middle; paint-order: stroke; stroke: var(--ground); stroke-width: 4px; stroke-linejoin: round; }
.timeline line { stroke: var(--quiet); }
.timeline .axis { stroke-width: 2; }
.timeline .month line { stroke: var(--line); }
.timeline .window { fill: var(--warn); fill-opacity: .35; }
.timeline .month, .timeline .now, .timeline .former { color: var(--quiet); }
.timeline .now line { stroke: var(--link); stroke-dasharray: 3 3; }
.timeline .now { color: var(--link); }
.timeline .current { color: var(--good); }
.timeline .current text { font-weight: 700; }
.timeline .back, .timeline .missed { color: var(--bad); }
.timeline .due { color: var(--warn); }
.shape circle, .shape path { fill: var(--ground); stroke: var(--quiet); stroke-width: 2; }
.shape.former circle { fill: var(--quiet); }
.shape.current circle { fill: var(--good); stroke: var(--good); }
.shape.current .halo { fill: none; }
.shape.back circle, .shape.back path, .shape.missed path { stroke: var(--bad); }
.shape.due path { stroke: var(--warn); fill: var(--warn-ground); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0 1rem; padding: 0; list-style: none; color: var(--quiet); font-size: .8125rem; }
.legend li { display: flex; align-items: center; gap: .35rem; }
.weeks { width: 100%; max-width: 44rem; margin: .5rem 0 1rem; table-layout: fixed; }
.weeks caption { padding: .5rem 0; }
.weeks th, .weeks td { padding: .25rem .35rem; border: 1px solid var(--line); overflow-wrap: anywhere; }
.weeks td { height: 3.25rem; }
.weeks time { white-space: normal; }
.weeks .inside { background: var(--warn-ground); color: var(--warn); }
.weeks .due { background: var(--warn-ground); color: var(--warn); box-shadow: inset 0 0 0 2px var(--warn); font-weight: 700; }
.what { font-size: .75rem; line-height: 1.2; }
.changes { margin: 0; padding: 0; list-style: none; font-size: .875rem; }
.changes li { display: grid; grid-template-columns: minmax(10rem, 1fr) 2fr; gap: .15rem 1rem; padding: .35rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.changes details { grid-column: 1 / -1; }
.changes summary { width: max-content; max-width: 100%; color: var(--link); cursor: pointer; }
.entry { margin: .25rem 0 .5rem; padding-left: .75rem; border-left: 2px solid var(--line); }
.entry p { margin: 0; }
.issues li { margin: .5rem 0; max-width: 44rem; }

@media (max-width: 40rem) {
  .weeks th, .weeks td { padding: .15rem; }
  .what { font-size: .6875rem; }
  .changes li { grid-template-columns: 1fr; }
  .steps.times { grid-template-columns: fit-content(7rem) minmax(3rem, 1fr) max-content; gap: .35rem .5rem; overflow-wrap: anywhere; }
  .facts { display: block; }
  .facts dd { margin-bottom: .5rem; }
}
@media print { .filter, .skip, .neighbours { display: none; } .scroll { overflow: visible; } }
`;
