/** The page of a stream: its builds, and how to follow it. */
import type { BuildMeta } from '../domain/metadata.js';
import { Badge, ChangeCounts, Short } from './badges.js';
import { buildLink, formatFingerprint, outcomeOf, shellWord } from './facts.js';
import { Columns, Commands, Page, Table, toHtml, When } from './layout.js';
import { pageLink } from './links.js';
import type { StreamFacts, StreamInput } from './types.js';

/** Renders a stream's page, `index.html` at the stream's root. */
export const renderStream = ({ stream, generated, builds }: StreamInput): string =>
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
      <h2>Builds</h2>
      {builds.length === 0 ? <p>No build is published yet.</p> : <Builds builds={builds} />}
      <Usage stream={stream} fingerprint={builds[0]?.[0]?.treeline.key} />
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

function Usage({ stream, fingerprint }: { stream: StreamFacts; fingerprint: string | undefined }) {
  const root = stream.url.replace(/\/+$/, '');
  const key = `${root}/signing-key.asc`;
  const keyFile = `${stream.osname}-signing-key.asc`;
  // The architectures' names are those of `uname -m`, so that one command fits all of them.
  const branch = stream.ref.split('${arch}').map(quoteRef).join('$(uname -m)');
  const spec = `${shellWord(stream.osname)}:${branch}`;
  return (
    <>
      <h2>How to use</h2>
      <p>
        Add the repository once. Commits and the summary are signed, and both signatures are verified
        {fingerprint && (
          <>
            {' '}
            with the <a href="signing-key.asc">signing key</a> <code>{formatFingerprint(fingerprint)}</code>
          </>
        )}
        :
      </p>
      <Commands
        label="Add the remote"
        lines={[
          `curl -fsS -o ${shellWord(keyFile)} ${shellWord(key)}`,
          `gpg --show-keys ${shellWord(keyFile)}`,
          `ostree remote add --set=gpg-verify=true --set=gpg-verify-summary=true \\`,
          `  --gpg-import=${shellWord(keyFile)} ${shellWord(stream.osname)} ${shellWord(`${root}/repo`)}`,
        ]}
      />
      <p>Move a machine to this stream with rpm-ostree:</p>
      <Commands label="Rebase with rpm-ostree" lines={[`rpm-ostree rebase ${spec}`, 'systemctl reboot']} />
      <p>or with ostree alone:</p>
      <Commands
        label="Switch with ostree"
        lines={[`ostree pull ${spec}`, `ostree admin switch ${spec}`, 'systemctl reboot']}
      />
    </>
  );
}

const quoteRef = (part: string) => (part === '' ? '' : shellWord(part));
