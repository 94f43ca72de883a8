/**
 * The build store: the folder through which one step hands its results to the next, and where the instance keeps what
 * it knows about runs and builds.
 *
 *     <state>/store/<stream>/   and <stream>.signed/: repo, snapshot, published, cache and runs of its signed rebuilds
 *       ids/<build id>          whose run took the id (an id is never used twice)
 *       repo/                   staging ostree repo
 *       snapshot/               ostree repo that publications are pushed from
 *       published/              builds.json, refs and summary as last published
 *       releases/               repo/ and published/ of releases
 *         <build>/              files/ (notes.json and the other documents), <arch>/{meta,lockfile}.json
 *         told.json             what the SIG was told of the release dates, and when
 *         view.json             what the stream workflow knows: promotions, releases, vetoes
 *       statements/<nonce>.asc  every signed statement that was accepted; <nonce>.json: which request used the nonce
 *       security/               watch.json (the last look for advisories), fixes.json (what security releases have brought)
 *         srpms/<sha256>/       source RPMs that a person gave
 *       outbox/<key>.json       mails: what was sent, or is going to be
 *       cache/<arch>/           the composer's cache
 *       runs/<run>/             run.json, stream.json, source/, logs/, <arch>/ (lockfile, commit, images, meta.json)
 *     <state>/work/<run>/       scratch, removed at the end of the run
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { buildId } from '../domain/build-id.js';
import { Failure } from '../domain/failures.js';
import { baseOf, type Architecture } from '../domain/stream.js';

/** A run of a chain: the stream and the id of the Temporal run that it began as. */
export interface Run {
  readonly stream: string;
  readonly run: string;
}

export class Store {
  constructor(readonly state: string) {}

  readonly streamDir = (stream: string) => join(this.state, 'store', stream);
  /** One for all lines of a stream. */
  readonly idsDir = (stream: string) => join(this.streamDir(baseOf(stream)), 'ids');
  readonly repo = (stream: string) => join(this.streamDir(stream), 'repo');
  readonly snapshot = (stream: string) => join(this.streamDir(stream), 'snapshot');
  readonly published = (stream: string) => join(this.streamDir(stream), 'published');
  readonly releases = (stream: string) => join(this.streamDir(stream), 'releases');
  /** Ostree repo that releases are pushed from; keeps every released commit. */
  readonly releaseRepo = (stream: string) => join(this.releases(stream), 'repo');
  /** releases.json, refs and summary as last published at the release location. */
  readonly releasePublished = (stream: string) => join(this.releases(stream), 'published');
  readonly releaseDir = (stream: string, build: string) => join(this.releases(stream), build);
  /** What goes to `releases/<build>/` at the release location. */
  readonly releaseFiles = (stream: string, build: string) => join(this.releaseDir(stream, build), 'files');
  readonly statements = (stream: string) => join(this.streamDir(stream), 'statements');
  /** One for all lines of a stream. */
  readonly security = (stream: string) => join(this.streamDir(baseOf(stream)), 'security');
  /** A source RPM that a person gave for a security release. */
  readonly givenSource = (stream: string, sha256: string, file: string) =>
    join(this.security(stream), 'srpms', sha256, file);
  readonly outbox = (stream: string) => join(this.streamDir(stream), 'outbox');
  readonly cache = (stream: string, arch: Architecture) => join(this.streamDir(stream), 'cache', arch);
  readonly runsDir = (stream: string) => join(this.streamDir(stream), 'runs');
  readonly runDir = ({ stream, run }: Run) => join(this.runsDir(stream), run);
  readonly archDir = (run: Run, arch: Architecture) => join(this.runDir(run), arch);
  readonly logs = (run: Run) => join(this.runDir(run), 'logs');
  readonly work = ({ run }: Run, ...parts: string[]) => join(this.state, 'work', run, ...parts);
  /** The web root: what `treeline serve` serves. */
  readonly www = () => join(this.state, 'www');

  /** The run that took a build id, if any. */
  async runOf(stream: string, id: string): Promise<string | undefined> {
    return readText(join(this.idsDir(stream), id)).then((text) => text?.trim());
  }

  /** Build ids that were ever taken, newest first. */
  async ids(stream: string): Promise<string[]> {
    const names = await readdir(this.idsDir(stream)).catch(() => []);
    // A crash may leave a temporary file.
    return names
      .filter((name) => buildId.safeParse(name).success)
      .sort()
      .reverse();
  }
}

export async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads and checks a JSON file; undefined if there is none. Fails with StoreDamaged, naming the file and what is wrong with it. */
export async function readJson<T extends z.ZodType>(
  file: string,
  schema: T,
): Promise<z.infer<T> | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    const why = text.trim() === '' ? 'it is empty' : (error as Error).message;
    throw damaged(file, `is not JSON: ${why}`);
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(
    file,
    `does not match its schema: ${issue?.path.join('.') || 'file'}: ${issue?.message ?? ''}`,
  );
}

const damaged = (file: string, what: string) => new Failure('StoreDamaged', `${file}: ${what}`.slice(0, 500));

/** What to do with a damaged file that only concerns a part of what is read: gets the message of its failure. */
export type OnDamaged = (problem: string) => void;

/** For `.catch` of a reader that can go on without the file. */
export const unlessDamaged =
  (onDamaged: OnDamaged) =>
  (error: unknown): undefined => {
    if (!(error instanceof Failure) || error.code !== 'StoreDamaged') throw error;
    onDamaged(error.message);
  };

/** Like `readJson`, for a file that an earlier step has written: StoreDamaged also where there is none. */
export async function needJson<T extends z.ZodType>(file: string, schema: T): Promise<z.infer<T>> {
  const value = await readJson(file, schema);
  if (value === undefined) throw damaged(file, 'missing, although an earlier step wrote it');
  return value;
}

/** A name of its own: two steps of one process may write the same file. Hidden from the web server. */
const temporaryOf = (file: string) => join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);

/** Writes a file whole or not at all; a reader sees the old content or the new. */
export async function writeWhole(file: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = temporaryOf(file);
  try {
    await writeFile(temporary, content, { flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export const writeJson = (file: string, value: unknown) =>
  writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);

/**
 * Creates a file with this content; false if it exists already. Atomic across processes, and whole or not at all: after a crash
 * there is none, or one with its content.
 */
export async function createExclusive(file: string, content: string): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = temporaryOf(file);
  try {
    await writeFile(temporary, content, { flush: true });
    await link(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

export const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
