/** The page of one release: its notes. */
import type { ReleaseNotes } from '../domain/release.js';
import { cvesOf, gravest } from '../domain/security.js';
import { originGroups } from '../domain/release.js';
import { severityWord } from '../domain/security.js';
import { remoteOf } from './commands.js';
import { fileLink, formatFingerprint } from './facts.js';
import { Page, toHtml, When } from './layout.js';
import { pageLink, webLink } from './links.js';
import { Advisories, ReleaseChanges } from './release-changes.js';
import { ReleaseImages } from './release-images.js';
import { Reports } from './reports.js';
import type { ReleaseInput } from './types.js';
import { Follow, Return, Upgrade } from './usage.js';

/** From a release's page to the root of the release location. */
const root = '../../';

/** Beside the page: the same facts in other forms. */
const files = {
  'notes.md': 'Release notes, Markdown',
  'notes.json': 'Release notes, data',
  'download.md': 'Download page, Markdown',
  'download.moin': 'Download page, MoinMoin',
  'announcement.txt': 'Announcement',
  'release.json': 'Commits and images, stream metadata',
};

/** Renders a release's page, `releases/<id>/index.html` below the release location's root. */
export const renderRelease = (input: ReleaseInput): string => toHtml(<ReleasePage {...input} />);

function ReleasePage({ notes, next, rolledBack, home, builds }: ReleaseInput) {
  const { stream, build, former, time } = notes;
  const buildPages = pageLink(builds && `${builds.replace(/\/+$/, '')}/index.html`, root);
  return (
    <Page
      title={`${stream.title}: release ${build}`}
      base={root}
      crumbs={[
        ...(home ? [{ label: 'Treeline', href: pageLink(home, root) }] : []),
        { label: `${stream.title} releases`, href: `${root}index.html` },
        { label: build },
      ]}
      footer={
        <>
          Notes made <When at={time} /> · <a href="notes.json">notes.json</a>
          {buildPages && (
            <>
              {' '}
              · <a href={buildPages}>all builds</a>
            </>
          )}
        </>
      }
    >
      <h1>
        {stream.title} <small>release {build}</small>
      </h1>
      {(former ?? next) && (
        <nav aria-label="Other releases" class="neighbours">
          {former && (
            <a rel="prev" href={neighbour(former)}>
              ← {former}
            </a>
          )}
          {next && (
            <a rel="next" href={neighbour(next)}>
              {next} →
            </a>
          )}
        </nav>
      )}
      {rolledBack && <RolledBack {...rolledBack} />}
      {notes.security && <SecurityRelease {...notes.security} />}
      {stream.description && <p class="lead">{stream.description}</p>}
      <Facts notes={notes} />
      <section aria-labelledby="usage">
        <h2 id="usage">{rolledBack ? 'How to return' : 'How to upgrade'}</h2>
        {rolledBack ? <Return /> : <Upgrade />}
      </section>
      {!rolledBack && <Rebase notes={notes} />}
      <KnownIssues issues={notes.knownIssues} />
      {notes.reports && (
        <section aria-labelledby="reports">
          <h2 id="reports">Test reports</h2>
          <Reports reports={notes.reports} />
        </section>
      )}
      <Advisories notes={notes} />
      <ReleaseImages notes={notes} root={root} />
      <section aria-labelledby="files">
        <h2 id="files">Files</h2>
        <ul class="files">
          {Object.entries(files).map(([file, what]) => (
            <li key={file}>
              <a href={fileLink(file)}>{file}</a> <span class="quiet">{what}</span>
            </li>
          ))}
        </ul>
      </section>
      <ReleaseChanges architectures={notes.architectures} former={former} />
    </Page>
  );
}

const neighbour = (build: string) => fileLink(`../${build}/index.html`);

const RolledBack = ({ at, to, reason }: NonNullable<ReleaseInput['rolledBack']>) => (
  <aside class="banner bad" aria-label="Rolled back">
    <p>
      <b>Rolled back.</b> This release was taken back on <When at={at} />. Readers were returned to{' '}
      <a href={neighbour(to)}>release {to}</a>.
    </p>
    {reason && <p class="text">{reason}</p>}
  </aside>
);

const SecurityRelease = ({ advisories }: NonNullable<ReleaseNotes['security']>) => (
  <aside class="banner warn" aria-label="Security release">
    <p>
      <b>Security release.</b>{' '}
      {advisories.length === 0
        ? 'It fixes the packages that changed.'
        : `${severityWord(gravest(advisories))}: it fixes ${advisories.map(({ id }) => id).join(', ')}.`}{' '}
      <a href={`${root}security/index.html`}>Security of this stream</a>
    </p>
    {advisories.length > 0 && <p>{cvesOf(advisories).join(', ')}</p>}
  </aside>
);

function Facts({ notes }: { notes: ReleaseNotes }) {
  const { time, approvers, accepted, upstream, former, signingKey, url, architectures } = notes;
  return (
    <dl class="facts">
      <dt>Date</dt>
      <dd>
        <When at={time} />
      </dd>
      <dt>Approved by</dt>
      <dd>{approvers.join(', ')}</dd>
      {accepted && (
        <>
          <dt>{notes.repo === undefined ? 'Made from' : 'Signed rebuild of'}</dt>
          <dd>
            build {accepted}
            {originGroups(notes).map(({ what, names }) => (
              <details key={what}>
                <summary>
                  {names.length} {what}
                </summary>
                <p class="text">{names.join(', ')}</p>
              </details>
            ))}
          </dd>
        </>
      )}
      {upstream && (
        <>
          <dt>Downstream of</dt>
          <dd>
            {upstream.name} build {upstream.number} of <time dateTime={upstream.date}>{upstream.date}</time>
          </dd>
        </>
      )}
      <dt>Former release</dt>
      <dd>{former ? <a href={neighbour(former)}>{former}</a> : 'none: this is the first'}</dd>
      <dt>Signing key</dt>
      <dd>
        <a href={webLink(signingKey.url, url, root)}>
          <code>{formatFingerprint(signingKey.fingerprint)}</code>
        </a>
        <div class="quiet">{signingKey.user}</div>
      </dd>
      {architectures.map(({ architecture, ref, commit, packages }) => (
        <>
          <dt>{architecture}</dt>
          <dd>
            <code>{ref}</code>
            <div>
              commit <code>{commit}</code>
            </div>
            <div class="quiet">{packages} packages</div>
          </dd>
        </>
      ))}
    </dl>
  );
}

function Rebase({ notes }: { notes: ReleaseNotes }) {
  const [first] = notes.architectures;
  if (!first) return null;
  const branch = first.ref
    .split('/')
    .map((part) => (part === first.architecture ? '${arch}' : part))
    .join('/');
  return (
    <section aria-labelledby="follow">
      <h2 id="follow">How to follow the releases</h2>
      <Follow
        remote={remoteOf(notes)}
        branch={branch}
        fingerprint={notes.signingKey.fingerprint}
        what="the releases"
        root={root}
      />
    </section>
  );
}

const KnownIssues = ({ issues }: { issues: readonly string[] }) => (
  <section aria-labelledby="issues">
    <h2 id="issues">Known issues</h2>
    {issues.length === 0 ? (
      <p>None was known when the notes were made.</p>
    ) : (
      <ul class="issues">
        {issues.map((issue) => (
          <li class="text" key={issue}>
            {issue}
          </li>
        ))}
      </ul>
    )}
  </section>
);
