/** The page of a stream's security: what is being fixed, what was fixed and how fast, and what releases still lack. */
import { affectedText, isOpenVerdict } from '../domain/security.js';
import type { WatchRecord } from '../store/watch-record.js';
import { Columns, Page, Table, toHtml, When } from './layout.js';
import { Lacks } from './lacks.js';
import { pageLink, releaseLink } from './links.js';
import { Mark, SeverityMark, VerdictMark } from './marks.js';
import { EndedCases, OpenCases } from './security-cases.js';
import { TimesToFix } from './time-to-fix.js';
import type { ReleaseLacks, SecurityInput } from './types.js';

/** From the page to the root of the release location. */
const root = '../';

/** Renders the page, `security/index.html` below the release location's root. */
export const renderSecurity = (input: SecurityInput): string => toHtml(<SecurityPage {...input} />);

function SecurityPage({ generated, stream, cases, watch, releases }: SecurityInput) {
  return (
    <Page
      title={`${stream.title}: security`}
      base={root}
      crumbs={[
        ...(stream.home ? [{ label: 'Treeline', href: pageLink(stream.home, root) }] : []),
        { label: `${stream.title} releases`, href: `${root}index.html` },
        { label: 'security' },
      ]}
      footer={
        <>
          Generated <When at={generated} /> · <a href={`${root}security.json`}>security.json</a>
        </>
      }
    >
      <h1>
        {stream.title} <small>security</small>
      </h1>
      <OpenCases cases={cases} stream={stream.name} />
      <Releases releases={releases} />
      <TimesToFix cases={cases} root={root} />
      <EndedCases cases={cases} />
      <Advisories watch={watch} />
    </Page>
  );
}

/** Which releases lack which fixes that later ones have brought. */
const Releases = ({ releases }: { releases: readonly ReleaseLacks[] }) => (
  <section aria-labelledby="lacks">
    <h2 id="lacks">Releases</h2>
    {releases.length === 0 ? (
      <p>There is no release yet.</p>
    ) : (
      <Table caption="Fixes of security releases that each release lacks, newest release first">
        <Columns names={['Release', 'Released', 'Fixes', 'What it lacks']} />
        <tbody>
          {releases.map(({ build, released, current, lacks }) => (
            <tr key={build}>
              <th scope="row">
                <a href={root + releaseLink(build)}>{build}</a>
                {current && <div class="quiet">current</div>}
              </th>
              <td>
                <When at={released} />
              </td>
              <td>
                {lacks === undefined ? (
                  <Mark tone="plain">not known</Mark>
                ) : lacks.length === 0 ? (
                  <Mark tone="good">all</Mark>
                ) : (
                  <Mark tone="bad">lacks {lacks.length}</Mark>
                )}
              </td>
              <td class="reason">
                <Lacks lacks={lacks ?? []} />
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
    )}
  </section>
);

const Advisories = ({ watch }: { watch: WatchRecord | undefined }) => (
  <section aria-labelledby="advisories">
    <h2 id="advisories">Advisories</h2>
    {!watch ? (
      <p>Nobody has looked for advisories yet.</p>
    ) : (
      <>
        <p>
          Last look on <When at={watch.looked} />, at release {watch.release}.
          {watch.failed.length > 0 && (
            <>
              {' '}
              <Mark tone="warn">incomplete</Mark> {watch.failed.length}{' '}
              {watch.failed.length === 1 ? 'source' : 'sources'} could not be read.
            </>
          )}
        </p>
        {watch.considered.length === 0 && <p>There was none.</p>}
        <Considerations
          caption="Advisories that affect the release and have no known fix, or cannot be judged"
          all={watch.considered.filter(({ verdict }) => isOpenVerdict(verdict))}
        />
        <Considerations
          caption="Other advisories that were considered"
          all={watch.considered.filter(({ verdict }) => !isOpenVerdict(verdict))}
        />
      </>
    )}
  </section>
);

interface ConsiderationsProps {
  readonly caption: string;
  readonly all: WatchRecord['considered'];
}

const Considerations = ({ caption, all }: ConsiderationsProps) =>
  all.length === 0 ? null : (
    <Table caption={caption}>
      <Columns names={['Advisory', 'Severity', 'CVEs', 'Verdict', 'Why', 'The release has']} />
      <tbody>
        {all.map(({ id, title, severity, cves, verdict, reason, affected }) => (
          <tr key={id}>
            <th scope="row" class="file">
              {id}
              <div class="title">{title}</div>
            </th>
            <td>
              <SeverityMark severity={severity} />
            </td>
            <td class="references">
              {cves.map((cve) => (
                <div key={cve}>{cve}</div>
              ))}
            </td>
            <td>
              <VerdictMark verdict={verdict} />
            </td>
            <td class="reason">{reason}</td>
            <td class="reason">
              {affected.map((one) => (
                <div key={`${one.name} ${one.state}`}>{affectedText(one)}</div>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
