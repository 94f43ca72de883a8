/** The release that readers have now. */
import type { CadenceRow } from '../domain/cadence.js';
import type { ReleaseEntry } from '../domain/release.js';
import { When } from './layout.js';
import { releaseLink } from './links.js';
import { Day } from './marks.js';
import type { ReleasesInput } from './types.js';

export function Current({ view, index, calendar, upstream = 'Upstream' }: ReleasesInput) {
  const entry = index.releases.find(({ version }) => version === view.current);
  const row = calendar.find(({ release }) => release !== undefined && release === view.current);
  return (
    <section aria-labelledby="current">
      <h2 id="current">Current release</h2>
      {view.current === null ? (
        <p>There is no release yet.</p>
      ) : (
        <div class="card">
          <p class="big">
            <a href={releaseLink(view.current)}>{view.current}</a>
          </p>
          {entry && <CurrentFacts entry={entry} row={row} upstream={upstream} />}
        </div>
      )}
    </section>
  );
}

interface CurrentProps {
  readonly entry: ReleaseEntry;
  readonly row: CadenceRow | undefined;
  readonly upstream: string;
}

const CurrentFacts = ({ entry: { treeline, commits }, row, upstream }: CurrentProps) => (
  <dl class="facts">
    <dt>Released</dt>
    <dd>
      <When at={treeline.released} />
    </dd>
    <dt>Approved by</dt>
    <dd>{treeline.approvers.join(', ')}</dd>
    {treeline.security && (
      <>
        <dt>Security release</dt>
        <dd>{[...treeline.security.advisories, ...treeline.security.cves].join(', ')}</dd>
      </>
    )}
    {row?.upstream && (
      <>
        <dt>Downstream of</dt>
        <dd>
          {upstream} build {row.upstream.number} of <Day date={row.upstream.date} />
        </dd>
      </>
    )}
    {commits.map(({ architecture, checksum }) => (
      <>
        <dt>{architecture}</dt>
        <dd>
          <code>{checksum}</code>
        </dd>
      </>
    ))}
  </dl>
);
