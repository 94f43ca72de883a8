/** A release's images: what to download, and how to check it. */
import type { ComponentChildren } from 'preact';
import type { ReleaseNotes } from '../domain/release.js';
import { formatBytes } from '../domain/units.js';
import { Badge } from './badges.js';
import { remoteOf } from './commands.js';
import { Columns, Table } from './layout.js';
import { fileName, webLink } from './links.js';
import type { Outcome } from './types.js';
import { Check } from './usage.js';

type Architecture = ReleaseNotes['architectures'][number];

interface Place {
  /** Readers' address of the release location. */
  readonly url: string;
  /** From the page to the location's root. */
  readonly root: string;
}

/** The images of all architectures, with one command that checks what was downloaded. */
export function ReleaseImages({ notes, root }: { notes: ReleaseNotes; root: string }) {
  const place = { url: notes.url, root };
  const architectures = notes.architectures.filter(({ images }) => images.length > 0);
  const lists = notes.architectures.flatMap(({ architecture, checksums }) =>
    checksums ? [{ architecture, checksums }] : [],
  );
  return (
    <section aria-labelledby="images">
      <h2 id="images">Images</h2>
      {architectures.length === 0 ? (
        <p>This release has no images.</p>
      ) : (
        <Table caption="Images to download">
          <Columns names={['Image', 'File', 'Size', 'Boot test', 'SHA-256']} />
          {architectures.map((architecture) => (
            <Images {...architecture} place={place} key={architecture.architecture} />
          ))}
        </Table>
      )}
      {lists.length > 0 && (
        <p>
          Signed checksums:{' '}
          {lists.map(({ architecture, checksums }, index) => (
            <>
              {index > 0 && ', '}
              <Link address={checksums} place={place}>
                {fileName(checksums)} ({architecture})
              </Link>
            </>
          ))}
        </p>
      )}
      {lists[0] && (
        <Check
          remote={remoteOf(notes)}
          checksums={lists[0].checksums}
          of={lists.length > 1 ? lists[0].architecture : undefined}
        />
      )}
    </section>
  );
}

const Images = ({ architecture, images, place }: Architecture & { place: Place }) => (
  <tbody>
    <tr>
      <th scope="rowgroup" colSpan={5} class="group">
        {architecture}
      </th>
    </tr>
    {images.map(({ kind, file, url, signature, sha256, size, bootTest }) => (
      <tr key={file}>
        <th scope="row">{kind}</th>
        <td class="file">
          <Link address={url} place={place}>
            {file}
          </Link>
          <div>
            <Link address={signature} place={place}>
              signature
            </Link>
          </div>
        </td>
        <td class="size">{formatBytes(size)}</td>
        <td>{isOutcome(bootTest) ? <Badge outcome={bootTest} /> : bootTest}</td>
        <td class="checksum">
          <code>{sha256}</code>
        </td>
      </tr>
    ))}
  </tbody>
);

const isOutcome = (text: string): text is Outcome => ['passed', 'flaky', 'failed', 'untested'].includes(text);

function Link({ address, place, children }: { address: string; place: Place; children: ComponentChildren }) {
  const href = webLink(address, place.url, place.root);
  return href ? <a href={href}>{children}</a> : <>{children}</>;
}
