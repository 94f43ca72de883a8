/** The front page of a release location: what readers have, what comes next, and who decided. */
import type { CadenceRow } from '../domain/cadence.js';
import type { ReleaseEntry } from '../domain/release.js';
import { Short } from './badges.js';
import { Calendar } from './calendar.js';
import { Candidates } from './candidates.js';
import { releaseRemote } from './commands.js';
import { Current } from './current.js';
import { Decisions } from './decisions.js';
import { Columns, Page, Table, toHtml, When } from './layout.js';
import { pageLink, releaseLink } from './links.js';
import { Day, Mark } from './marks.js';
import { Timeline } from './timeline.js';
import type { ReleasesInput, ReleaseStreamFacts } from './types.js';
import { Follow } from './usage.js';

/** Renders the page of a stream's releases, `index.html` at the release location's root. */
export const renderReleases = (input: ReleasesInput): string => toHtml(<ReleasesPage {...input} />);

function ReleasesPage(input: ReleasesInput) {
  const { generated, stream, index, view, calendar, approvers } = input;
  const releases = index.releases;
  const upstream = input.upstream ?? 'Upstream';
  const builds = pageLink(stream.builds && `${stream.builds.replace(/\/+$/, '')}/index.html`);
  const home = pageLink(stream.home);
  return (
    <Page
      title={`${stream.title}: releases`}
      base=""
      feed={releases.length > 0 ? { title: `${stream.title} releases`, href: 'releases.atom' } : undefined}
      crumbs={[...(home ? [{ label: 'Treeline', href: home }] : []), { label: `${stream.title} releases` }]}
      footer={<Footer generated={generated} any={releases.length > 0} />}
    >
      <h1>
        {stream.title} <small>releases</small>
      </h1>
      {stream.description && <p class="lead">{stream.description}</p>}
      {builds && (
        <p>
          A release is a nightly build that the SIG has chosen. <a href={builds}>All builds</a>
        </p>
      )}
      {stream.security && (
        <p>
          <a href="security/index.html">Security</a>: what is being fixed, what each release lacks, how long
          fixes took.
        </p>
      )}
      <Current {...input} />
      <Candidates view={view} approvers={approvers} calendar={calendar} stream={stream} />
      <section aria-labelledby="timeline">
        <h2 id="timeline">Releases</h2>
        {releases.length === 0 ? (
          <p>There is no release yet.</p>
        ) : (
          <>
            <Timeline releases={releases} current={view.current} calendar={calendar} generated={generated} />
            <Releases releases={releases} current={view.current} calendar={calendar} upstream={upstream} />
          </>
        )}
      </section>
      <Calendar rows={calendar} upstream={upstream} />
      <Decisions history={view.history} />
      <section aria-labelledby="follow">
        <h2 id="follow">How to follow the releases</h2>
        {releases.length === 0 ? (
          <p>There is nothing to follow yet: the repository begins with the first release.</p>
        ) : (
          <FollowStream stream={stream} />
        )}
      </section>
    </Page>
  );
}

const Footer = ({ generated, any }: { generated: string; any: boolean }) => (
  <>
    Generated <When at={generated} />
    {any && (
      <>
        {' '}
        · <a href="releases.json">releases.json</a> · <a href="stream.json">stream.json</a> ·{' '}
        <a href="releases.atom" rel="alternate" type="application/atom+xml">
          feed
        </a>
      </>
    )}
  </>
);

const FollowStream = ({ stream }: { stream: ReleaseStreamFacts }) => (
  <>
    <Follow
      remote={releaseRemote(stream)}
      branch={stream.ref}
      fingerprint={stream.fingerprint}
      what="the releases"
      root="./"
    />
    <p>
      News of releases: the{' '}
      <a href="releases.atom" type="application/atom+xml">
        feed
      </a>
      , or <a href="stream.json">stream.json</a> for programs.
    </p>
  </>
);

interface ReleasesProps {
  /** Oldest first. */
  readonly releases: readonly ReleaseEntry[];
  readonly current: string | null;
  readonly calendar: readonly CadenceRow[];
  readonly upstream: string;
}

/** Says in words what the timeline shows. */
const Releases = ({ releases, current, calendar, upstream }: ReleasesProps) => (
  <Table caption="Releases, newest first">
    <Columns names={['Release', 'Released', 'State', 'Due', upstream, 'Approved by', 'Commits']} />
    <tbody>
      {releases.toReversed().map(({ version, commits, treeline }) => {
        const row = calendar.find(({ release }) => release === version);
        return (
          <tr key={version}>
            <th scope="row">
              <a href={releaseLink(version)}>{version}</a>
            </th>
            <td>
              <When at={treeline.released} />
            </td>
            <td class="state">
              {treeline.security && <Mark tone="warn">security</Mark>}
              <State entry={treeline} current={version === current} />
            </td>
            <td>{row && <Day date={row.due} />}</td>
            <td class="number">{row?.upstream?.number}</td>
            <td class="names">{treeline.approvers.join(', ')}</td>
            <td class="commits">
              {commits.map(({ architecture, checksum }) => (
                <div key={architecture}>
                  {architecture} <Short checksum={checksum} />
                </div>
              ))}
            </td>
          </tr>
        );
      })}
    </tbody>
  </Table>
);

function State({ entry, current }: { entry: ReleaseEntry['treeline']; current: boolean }) {
  const back = entry['rolled-back'];
  if (back)
    return (
      <>
        <Mark tone="bad">rolled back</Mark>
        <div class="quiet">
          <When at={back.at} />, to {back.to}
        </div>
        {back.reason && <div>{back.reason}</div>}
      </>
    );
  return current ? <Mark tone="good">current</Mark> : <span class="quiet">former</span>;
}
