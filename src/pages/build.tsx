/** The page of one build and architecture. */
import { formatSeconds } from '../domain/units.js';
import { Badge, ChangeCounts } from './badges.js';
import { BootTests } from './boot-tests.js';
import { Content } from './content.js';
import { fileLink, formatFingerprint, logLink, outcomeOf } from './facts.js';
import { filterScript, filterSource } from './filter.js';
import { Downloads, Images } from './images.js';
import { Page, toHtml, When } from './layout.js';
import { Lacks } from './lacks.js';
import { Changes, Packages } from './packages.js';
import type { BuildInput } from './types.js';

/** From a build's page to the stream's root. */
const root = '../../../';

/** Renders a build's page, `builds/<id>/<arch>/index.html` below the stream's root. */
export const renderBuild = (input: BuildInput): string => toHtml(<BuildPage {...input} />);

function BuildPage({ stream, meta, lockfile, content, previous, next, lacks = [] }: BuildInput) {
  return (
    <Page
      title={`${stream.title}: build ${meta.buildid}, ${meta.architecture}`}
      base={root}
      crumbs={[
        ...(stream.home ? [{ label: 'Treeline', href: fromRoot(stream.home) }] : []),
        { label: stream.title, href: `${root}index.html` },
        { label: meta.buildid },
      ]}
      script={filterSource}
      footer={
        <>
          Built <When at={meta['ostree-timestamp']} /> · <a href="meta.json">meta.json</a>
        </>
      }
    >
      <h1>
        Build {meta.buildid} <small>{meta.architecture}</small>
      </h1>
      <Neighbours previous={previous} next={next} arch={meta.architecture} />
      {lacks.length > 0 && (
        <aside class="banner bad" aria-label="Lacks fixes">
          <p>
            <b>Lacks fixes</b> that readers of the releases have:
          </p>
          <Lacks lacks={lacks} />
        </aside>
      )}
      <Facts meta={meta} />
      <Images meta={meta} />
      <BootTests tests={meta.treeline.tests.boot} />
      <Changes diff={meta.pkgdiff} />
      <Content meta={meta} content={content} />
      <Steps steps={meta.treeline.steps} />
      <Logs logs={meta.treeline.logs} />
      <Downloads stream={stream} meta={meta} />
      <Packages lockfile={lockfile} />
      <script dangerouslySetInnerHTML={{ __html: filterScript }} />
    </Page>
  );
}

/** A link given from the stream's root; an absolute one stays. */
const fromRoot = (link: string) => (/^([a-z]+:|\/)/i.test(link) ? link : root + link);

interface NeighboursProps extends Pick<BuildInput, 'previous' | 'next'> {
  readonly arch: string;
}

function Neighbours({ previous, next, arch }: NeighboursProps) {
  if (!previous && !next) return null;
  const link = (id: string) => fileLink(`../../${id}/${arch}/index.html`);
  return (
    <nav aria-label="Other builds" class="neighbours">
      {previous && (
        <a rel="prev" href={link(previous)}>
          ← {previous}
        </a>
      )}
      {next && (
        <a rel="next" href={link(next)}>
          {next} →
        </a>
      )}
    </nav>
  );
}

const Facts = ({ meta }: Pick<BuildInput, 'meta'>) => (
  <dl class="facts">
    <dt>Boot test</dt>
    <dd>
      <Badge outcome={outcomeOf(meta)} />
    </dd>
    <dt>Changes</dt>
    <dd>
      <ChangeCounts diff={meta.pkgdiff} />
    </dd>
    <dt>Ref</dt>
    <dd>
      <code>{meta.ref}</code>
    </dd>
    <dt>Commit</dt>
    <dd>
      <code>{meta['ostree-commit']}</code>
    </dd>
    <dt>Parent</dt>
    <dd>
      {meta['ostree-parent'] ? <code>{meta['ostree-parent']}</code> : 'none: the first commit of its ref'}
    </dd>
    <dt>Version</dt>
    <dd>{meta['ostree-version']}</dd>
    <dt>Timestamp</dt>
    <dd>
      <When at={meta['ostree-timestamp']} />
    </dd>
    {meta.treeline['source-commit'] && (
      <>
        <dt>Stream’s source</dt>
        <dd>
          <code>{meta.treeline['source-commit']}</code>
        </dd>
      </>
    )}
    {meta.treeline.rebuild && (
      <>
        <dt>Signed rebuild</dt>
        <dd>
          of {meta.treeline.rebuild.accepted}, attempt {meta.treeline.rebuild.attempt}:{' '}
          <a href={fileLink(meta.treeline.rebuild.packages)}>
            {meta.treeline.rebuild.rebuilt} of {meta.treeline.packages} packages rebuilt
          </a>
          , <a href={fileLink(meta.treeline.rebuild.equivalence)}>compared with the accepted build</a>
        </dd>
      </>
    )}
    <dt>Composer</dt>
    <dd>{meta.treeline.composer}</dd>
    <dt>Signing key</dt>
    <dd>
      <a href={`${root}signing-key.asc`}>
        <code>{formatFingerprint(meta.treeline.key)}</code>
      </a>
    </dd>
  </dl>
);

/** Bars as SVG: the policy forbids inline styles, and a width is an attribute there. */
function Steps({ steps }: { steps: BuildInput['meta']['treeline']['steps'] }) {
  if (steps.length === 0) return null;
  const longest = Math.max(1, ...steps.map((step) => step.seconds));
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">Steps</h2>
      <ol class="steps">
        {steps.map(({ name, seconds }) => (
          <li key={name}>
            <span>{name}</span>
            <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
              <rect width={((100 * seconds) / longest).toFixed(1)} height="1" />
            </svg>
            <span class="number">{formatSeconds(seconds)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Logs({ logs }: { logs: readonly string[] }) {
  if (logs.length === 0) return null;
  return (
    <section aria-labelledby="logs">
      <h2 id="logs">Logs</h2>
      <ul class="files">
        {logs.map((log) => (
          <li key={log}>
            <a href={logLink(log)}>{log.replace(/^logs\//, '')}</a>
          </li>
        ))}
      </ul>
    </section>
  );
}
