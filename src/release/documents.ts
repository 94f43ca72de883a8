/** The documents of a release, in the build store: what goes to `releases/<build>/` at the release location. */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Host } from '../host.js';
import { releaseNotes, streamMetadata, type ReleaseNotes, type StreamMetadata } from '../domain/release.js';
import type { SecurityRelease } from '../domain/security.js';
import { releasedLine, releaseTargets, type Stream } from '../domain/stream.js';
import { fetchPublished } from '../publish/readers.js';
import type { Step } from '../steps/step.js';
import { exists, readJson, writeJson, writeWhole, type Run } from '../store/store.js';
import { upstreamOfToday } from './calendar.js';
import { metasOf } from './check.js';
import { makeNotes } from './notes.js';
import { readReleases } from '../publish/published-releases.js';
import { toMail } from './texts/mail.js';
import { toMarkdown, toMarkdownDownload } from './texts/markdown.js';
import { toMoinDownload } from './texts/moin.js';

/** Notes of a release that was made here; undefined for one of another instance. */
export const readNotes = (host: Host, stream: string, build: string): Promise<ReleaseNotes | undefined> =>
  readJson(join(host.store.releaseFiles(stream, build), 'notes.json'), releaseNotes);

/** A document of a release: this instance's, or on a new builder the published one; undefined where there is none. */
async function document<T extends z.ZodType>(
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
  file: string,
  schema: T,
): Promise<z.infer<T> | undefined> {
  const own = await readJson(join(host.store.releaseFiles(stream.name, build), file), schema);
  const files = releaseTargets(stream)?.files;
  if (own !== undefined || !files) return own;
  const published = await fetchPublished(step, files, `releases/${build}/${file}`);
  return published && schema.parse(JSON.parse(published.toString('utf8')));
}

export const notesOf = (step: Step, host: Host, stream: Stream, build: string) =>
  document(step, host, stream, build, 'notes.json', releaseNotes);

export const releaseOf = (step: Step, host: Host, stream: Stream, build: string) =>
  document(step, host, stream, build, 'release.json', streamMetadata);

/**
 * Writes notes, wiki text, announcement and release.json, and keeps metadata and lockfile of the build beyond its retention. Once:
 * what is there stays, so that a second try says the same.
 */
export async function writeDocuments(
  step: Step,
  host: Host,
  stream: Stream,
  {
    run,
    ...of
  }: {
    run: Run;
    build: string;
    former: string | null;
    approvers: readonly string[];
    accepted: string | undefined;
    security?: SecurityRelease | undefined;
  },
): Promise<void> {
  if (await readNotes(host, stream.name, of.build)) return;
  const { run: buildRun, metas } = await metasOf(host, releasedLine(stream), of.build, step.signal);
  for (const { architecture } of metas) {
    const kept = join(host.store.releaseDir(stream.name, of.build), architecture);
    await mkdir(kept, { recursive: true });
    const from = join(host.store.archDir(buildRun, architecture), 'build');
    // Only a signed rebuild has packages.json.
    for (const name of ['meta.json', 'lockfile.json', 'packages.json'])
      if (name !== 'packages.json' || (await exists(join(from, name))))
        await cp(join(from, name), join(kept, name));
  }
  const index = await readReleases(host, stream, step.signal);
  const upstream = await upstreamOfToday(step, host, stream, index);
  const now = new Date();
  const notes = await makeNotes(host, step, { stream, run, now, ...of, ...(upstream ? { upstream } : {}) });
  await writeTexts(host.store.releaseFiles(stream.name, of.build), notes);
}

async function writeTexts(folder: string, notes: ReleaseNotes): Promise<void> {
  const { subject, text } = toMail(notes);
  const documents = {
    'notes.md': toMarkdown(notes),
    'download.moin': toMoinDownload(notes),
    'download.md': toMarkdownDownload(notes),
    'announcement.txt': text,
  };
  for (const [name, content] of Object.entries(documents)) await writeWhole(join(folder, name), content);
  await writeJson(join(folder, 'announcement.json'), { subject });
  await writeJson(join(folder, 'release.json'), metadataOf(notes));
  // Last: by it the documents are known to be there.
  await writeJson(join(folder, 'notes.json'), releaseNotes.parse(notes));
}

/** Stream metadata of the release. */
function metadataOf(notes: ReleaseNotes): StreamMetadata {
  const architectures: StreamMetadata['architectures'] = {};
  for (const { architecture, commit, images } of notes.architectures)
    architectures[architecture] = {
      commit,
      artifacts: Object.fromEntries(
        images.map(({ kind, file, url, signature, sha256 }) => [
          kind,
          {
            release: notes.build,
            formats: {
              [file.replace(/^[^.]*\.[^.]*\.?/, '') || kind]: { disk: { location: url, signature, sha256 } },
            },
          },
        ]),
      ),
    };
  return { stream: notes.stream.name, metadata: { 'last-modified': notes.time }, architectures };
}
