/** A build's files to download, and how to check them. */
import type { BuildMeta, ImageMeta } from '../domain/metadata.js';
import { formatBytes } from '../domain/units.js';
import { nightlyRemote } from './commands.js';
import { fileLink } from './facts.js';
import { Columns, Table } from './layout.js';
import type { BuildInput } from './types.js';
import { Check } from './usage.js';

/** The images of a build. */
export function Images({ meta }: { meta: BuildMeta }) {
  const images = Object.entries(meta.images);
  return (
    <section aria-labelledby="images">
      <h2 id="images">Images</h2>
      {images.length === 0 ? (
        <p>This build has no images.</p>
      ) : (
        <Table caption="Images of this build">
          <Columns names={['Kind', 'File', 'Size', 'SHA-256']} />
          <tbody>
            {images.map(([kind, image]) => (
              <Image kind={kind} image={image} key={kind} />
            ))}
          </tbody>
        </Table>
      )}
    </section>
  );
}

const Image = ({ kind, image }: { kind: string; image: ImageMeta }) => (
  <tr>
    <th scope="row">{kind}</th>
    <td class="file">
      <a href={fileLink(image.path)}>{image.path}</a>
      {image.signature && (
        <div>
          <a href={fileLink(image.signature)}>signature</a>
        </div>
      )}
    </td>
    <td class="size">
      {formatBytes(image.size)}
      {image['uncompressed-size'] !== undefined && (
        <div class="quiet">{formatBytes(image['uncompressed-size'])} uncompressed</div>
      )}
    </td>
    <td class="checksum">
      <code>{image.sha256}</code>
      {image['uncompressed-sha256'] && (
        <div class="quiet">
          uncompressed <code>{image['uncompressed-sha256']}</code>
        </div>
      )}
    </td>
  </tr>
);

/** Metadata, package list and checksums, with the commands that verify a download. */
export function Downloads({ stream, meta }: Pick<BuildInput, 'stream' | 'meta'>) {
  const { lockfile, checksums } = meta.treeline;
  const remote = nightlyRemote(stream);
  return (
    <section aria-labelledby="downloads">
      <h2 id="downloads">Metadata</h2>
      <ul class="files">
        {['meta.json', lockfile, ...(checksums ? [checksums] : [])].map((file) => (
          <li key={file}>
            <a href={fileLink(file)}>{file}</a>
          </li>
        ))}
      </ul>
      {checksums && (
        <Check
          remote={remote}
          checksums={`${remote.url}/${fileLink(`builds/${meta.buildid}/${meta.architecture}/${checksums}`)}`}
        />
      )}
    </section>
  );
}
