/** The facts of a release's notes, from the build in the build store and its commits. */
import { join } from 'node:path';
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import { buildMeta, type BuildMeta } from '../domain/metadata.js';
import { rebuildPackages, type RebuildPackages } from '../domain/rebuild-packages.js';
import type { ReleaseNotes } from '../domain/release.js';
import type { SecurityRelease } from '../domain/security.js';
import {
  releasedLine,
  releaseRefOf,
  releaseTargets,
  type Architecture,
  type Stream,
} from '../domain/stream.js';
import { readKey } from '../keys/gpg.js';
import type { Step } from '../steps/step.js';
import { readJson, readText, type Run } from '../store/store.js';
import { fixedAdvisories } from './advisories.js';
import { readReports } from './authority.js';
import { changeNotes } from './changelogs.js';

export interface NotesInput {
  readonly stream: Stream;
  readonly build: string;
  /** The release before it; null for the first. */
  readonly former: string | null;
  /** Names of those who approved it. */
  readonly approvers: readonly string[];
  /** Of a signed rebuild or a security release: the accepted build. */
  readonly accepted?: string | undefined;
  /** Of a security release. */
  readonly security?: SecurityRelease | undefined;
  /** The run that makes the notes, for its scratch folder. */
  readonly run: Run;
  readonly upstream?: NonNullable<ReleaseNotes['upstream']>;
  readonly now: Date;
}

/**
 * Reads everything that the release's page, wiki text and announcement are made of. Writes nothing but scratch: doing it again
 * gives the same but for advisories that have come since. Fails with StreamInvalid, BuildNotReleasable, KeyMissing, CommitInvalid.
 */
export async function makeNotes(host: Host, step: Step, input: NotesInput): Promise<ReleaseNotes> {
  const { stream, build, former, approvers, accepted, security, upstream, now } = input;
  const targets = releaseTargets(stream);
  if (!targets)
    throw new Failure('StreamInvalid', `${stream.name}: publish.release: missing: name the release location`);
  const [url, repo] = [targets.files, targets.repo].map((target) => target.url.replace(/\/+$/, '')) as [
    string,
    string,
  ];
  const [key, issues] = await Promise.all([readKey(step, stream.signingKey), knownIssues(stream)]);
  const architectures: ReleaseNotes['architectures'] = [];
  for (const arch of stream.architectures)
    architectures.push(await architecture(host, step, input, arch, url));
  const { name, title, description, osname } = stream;
  const commits = Object.fromEntries(architectures.map(({ architecture, commit }) => [architecture, commit]));
  const work = host.store.work(input.run, 'notes', 'reports');
  const reports = stream.release
    ? await readReports(step, host.store, name, stream.release, { build, commits }, work)
    : [];
  return {
    stream: { name, title, description, osname },
    build,
    former,
    time: now.toISOString(),
    ...(accepted === undefined ? {} : { accepted }),
    url,
    ...(targets.repo === targets.files ? {} : { repo }),
    page: `${url}/releases/${build}/index.html`,
    signingKey: { fingerprint: key.fingerprint, user: key.user, url: `${url}/signing-key.asc` },
    approvers: [...approvers],
    ...(upstream ? { upstream } : {}),
    ...(security ? { security: securityOf(security) } : {}),
    ...(reports.length > 0 ? { reports } : {}),
    knownIssues: issues,
    architectures,
  };
}

async function architecture(
  host: Host,
  step: Step,
  { stream, build, former, run }: NotesInput,
  arch: Architecture,
  url: string,
): Promise<ReleaseNotes['architectures'][number]> {
  const line = releasedLine(stream);
  const { meta, folder } = await readMeta(host, line, build, arch);
  const packages = await readJson(join(folder, 'packages.json'), rebuildPackages);
  const commit = meta['ostree-commit'];
  const place = `${url}/builds/${build}/${arch}`;
  const { store } = host;
  const before = former === null ? undefined : await formerCommit(host, stream, former, arch);
  const repos = [store.repo(line.name), store.releaseRepo(stream.name)];
  const work = (name: string) => store.work(run, 'notes', arch, name);
  const changes =
    before === undefined ? undefined : await changeNotes(step, repos, commit, before, work('packages'));
  const diff = changes?.map(({ change }) => change) ?? [];
  return {
    architecture: arch,
    ref: releaseRefOf(stream, arch),
    commit,
    packages: meta.treeline.packages,
    images: Object.entries(meta.images).map(([kind, image]) => ({
      kind,
      file: image.path,
      url: `${place}/${encodeURIComponent(image.path)}`,
      signature: `${place}/${encodeURIComponent(image.signature ?? `${image.path}.asc`)}`,
      sha256: image.sha256,
      size: image.size,
      bootTest: meta.treeline.tests.boot[kind]?.outcome ?? 'untested',
    })),
    ...(meta.treeline.checksums === undefined
      ? {}
      : { checksums: `${place}/${encodeURIComponent(meta.treeline.checksums)}` }),
    ...(changes ? { changes } : {}),
    advisories: await fixedAdvisories(step, stream, arch, diff, work('advisories')),
    ...(packages ? { origins: originsOf(packages) } : {}),
  };
}

/** Without the sources: they may be files of this machine. */
const securityOf = ({ case: id, advisories }: SecurityRelease): NonNullable<ReleaseNotes['security']> => ({
  case: id,
  advisories: advisories.map(({ source: _, cves, ...advisory }) => ({ ...advisory, cves: [...cves] })),
});

const originsOf = (packages: RebuildPackages) =>
  Object.entries(packages)
    .map(([name, { evra, origin }]) => ({ name, evra, origin }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** The build's metadata, and its architecture's folder in the build store. */
async function readMeta(
  host: Host,
  { name }: Stream,
  build: string,
  arch: Architecture,
): Promise<{ meta: BuildMeta; folder: string }> {
  const run = await host.store.runOf(name, build);
  const folder = run && host.store.archDir({ stream: name, run }, arch);
  const meta = folder ? await readJson(join(folder, 'build', 'meta.json'), buildMeta) : undefined;
  if (!meta || !folder)
    throw new Failure('BuildNotReleasable', `${build}: the build store has no meta.json of it for ${arch}`);
  return { meta, folder };
}

/** Undefined where the former release lacked the architecture. */
async function formerCommit(
  host: Host,
  { name }: Stream,
  former: string,
  arch: Architecture,
): Promise<string | undefined> {
  const meta = await readJson(join(host.store.releaseDir(name, former), arch, 'meta.json'), buildMeta);
  return meta?.['ostree-commit'];
}

/** The paragraphs of the stream's file of known issues, each in one line. */
async function knownIssues({ name, release }: Stream): Promise<string[]> {
  const file = release?.knownIssues;
  if (file === undefined) return [];
  const text = await readText(file);
  if (text === undefined)
    throw new Failure(
      'StreamInvalid',
      `${name}: release.knownIssues: ${file}: no such file. Create it, or remove the field.`,
    );
  return text
    .split(/\r?\n[ \t]*(?:\r?\n)+/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '');
}
