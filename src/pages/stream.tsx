/** The page of a stream: its builds, and how to follow it. */
import type { BuildMeta } from '../domain/metadata.js';
import { Badge, ChangeCounts, Short } from './badges.js';
import { nightlyRemote } from './commands.js';
import { buildLink, outcomeOf } from './facts.js';
import { Columns, Page, Problems, Table, toHtml, When } from './layout.js';
import { pageLink } from './links.js';
import type { StreamInput } from './types.js';
import { Follow } from './usage.js';

/** Renders a stream's page, `index.html` at the stream's root. */
export const renderStream = ({ stream, generated, builds, problems }: StreamInput): string =>
  toHtml(
    <Page
      title={`${stream.title}: builds`}
      base=""
      crumbs={[...(stream.home ? [{ label: 'Treeline', href: stream.home }] : []), { label: stream.title }]}
      footer={
        <>
          Generated <When at={generated} /> · <a href="builds.json">builds.json</a>
        </>
      }
    >
      <h1>{stream.title}</h1>
      {stream.description && <p class="lead">{stream.description}</p>}
      <Releases link={pageLink(stream.releases)} />
      <Problems problems={problems} />
      <h2>Builds</h2>
      {builds.length === 0 ? <p>No build is published yet.</p> : <Builds builds={builds} />}
      <h2>How to use</h2>
      <Follow
        remote={nightlyRemote(stream)}
        branch={stream.ref}
        fingerprint={builds[0]?.[0]?.treeline.key}
        what="this stream"
        root="./"
      />
    </Page>,
  );

const Releases = ({ link }: { link: string | undefined }) =>
  link ? (
    <p>
      These are nightly builds. The <a href={link}>releases</a> are those of them that the SIG has chosen.
    </p>
  ) : null;

const Builds = ({ builds }: { builds: StreamInput['builds'] }) => (
  <Table caption="Published builds, newest first">
    <Columns
      names={['Build', 'Boot test', 'Date', 'Arch', 'Commit', 'Packages', 'Changes', 'Images']}
      numbers={['Packages']}
    />
    {builds.map((metas) => (
      <tbody key={metas[0]?.buildid}>
        {metas.map((meta) => (
          <Build meta={meta} key={meta.architecture} />
        ))}
      </tbody>
    ))}
  </Table>
);

const Build = ({ meta }: { meta: BuildMeta }) => (
  <tr>
    <th scope="row">
      <a href={buildLink(meta.buildid, meta.architecture)}>{meta.buildid}</a>
    </th>
    <td>
      <Badge outcome={outcomeOf(meta)} />
    </td>
    <td>
      <When at={meta['ostree-timestamp']} />
    </td>
    <td>{meta.architecture}</td>
    <td>
      <Short checksum={meta['ostree-commit']} />
    </td>
    <td class="number">{meta.treeline.packages}</td>
    <td>
      <ChangeCounts diff={meta.pkgdiff} />
    </td>
    <td class="kinds">{Object.keys(meta.images).join(', ') || <span class="quiet">none</span>}</td>
  </tr>
);
