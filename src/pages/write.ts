/** Puts the pages of a stream and of an instance in their place. */
import { join } from 'node:path';
import { writeWhole } from '../store/store.js';
import { renderBuild } from './build.js';
import { renderInstance } from './instance.js';
import { renderRelease } from './release.js';
import { renderReleases } from './releases.js';
import { renderSecurity } from './security.js';
import { securityData } from './security-data.js';
import { renderStream } from './stream.js';
import { stylesheet } from './styles.js';
import type {
  BuildInput,
  InstanceInput,
  ReleaseInput,
  ReleasesInput,
  SecurityInput,
  StreamInput,
} from './types.js';

export interface PagesInput extends StreamInput {
  /** Build pages to write: the new build's, and the one before it, which gains its link forward. */
  readonly pages: readonly Omit<BuildInput, 'stream'>[];
}

/**
 * Writes a stream's pages below `dir`, the stream's root: stylesheet and build pages first, `index.html` last, so that
 * no reader finds a link before its page. Writing the same again changes nothing.
 */
export async function writePages(dir: string, { pages, ...input }: PagesInput): Promise<void> {
  await writeWhole(join(dir, 'treeline.css'), stylesheet);
  for (const page of pages) {
    const { buildid, architecture } = page.meta;
    const html = renderBuild({ stream: input.stream, ...page });
    await writeWhole(join(dir, 'builds', buildid, architecture, 'index.html'), html);
  }
  await writeWhole(join(dir, 'index.html'), renderStream(input));
}

export interface ReleasePagesInput extends ReleasesInput {
  /** Of a stream with security releases. */
  readonly security?: Omit<SecurityInput, 'generated' | 'stream'> | undefined;
  /** Release pages to write: the new one's, and those whose links or state have changed. */
  readonly pages: readonly Omit<ReleaseInput, 'home' | 'builds'>[];
}

/**
 * Writes the pages of the releases below `dir`, the release location's root: stylesheet and release pages first, `index.html`
 * last. Writing the same again changes nothing.
 */
export async function writeReleasePages(
  dir: string,
  { pages, security, ...input }: ReleasePagesInput,
): Promise<void> {
  const { home, builds } = input.stream;
  await writeWhole(join(dir, 'treeline.css'), stylesheet);
  for (const page of pages)
    await writeWhole(
      join(dir, 'releases', page.notes.build, 'index.html'),
      renderRelease({ home, builds, ...page }),
    );
  if (security) {
    const { generated, stream } = input;
    const page = { generated, stream, ...security };
    await writeWhole(join(dir, 'security.json'), `${JSON.stringify(securityData(page), null, 2)}\n`);
    await writeWhole(join(dir, 'security', 'index.html'), renderSecurity(page));
  }
  await writeWhole(join(dir, 'index.html'), renderReleases(input));
}

/** Writes the instance page and its stylesheet below `dir`, the web root. */
export async function writeInstance(dir: string, input: InstanceInput): Promise<void> {
  await writeWhole(join(dir, 'treeline.css'), stylesheet);
  await writeWhole(join(dir, 'index.html'), renderInstance(input));
}
