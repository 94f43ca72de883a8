/** When is nothing new? The hash of what a commit is made from. */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Lockfile } from '../domain/lockfile.js';
import type { Architecture, Stream } from '../domain/stream.js';

/** Key of a commit's metadata: hash of everything that it was made from. */
export const inputHashKey = 'treeline.input-hash';
/** Bumped when the same inputs would give another tree. */
const composeFormat = '2';

/** Hash of what decides how the commit and its images look: packages, the stream's files but for the stream file, and parts of that. */
export async function hashInputs(
  stream: Stream,
  arch: Architecture,
  source: string,
  locked: Lockfile,
): Promise<string> {
  const hash = createHash('sha256');
  const { ref, osname, composer, releasever, images } = stream;
  hash.update(JSON.stringify([composeFormat, arch, ref, osname, composer, releasever, images]));
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const name of files.sort()) {
    const path = relative(source, name);
    if (path !== 'stream.yaml')
      hash.update(
        JSON.stringify([
          path,
          createHash('sha256')
            .update(await readFile(name))
            .digest('hex'),
        ]),
      );
  }
  for (const [name, { digest }] of Object.entries(locked.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(JSON.stringify([name, digest]));
  return hash.digest('hex');
}
