/** What runs that came to no end of their own (killed, terminated, reset) leave in the state folder. */
import type { Dirent } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from './store.js';

/** What has changed since may still be looked at by a person, or taken up again by a reset. */
export const leftoverMs = 12 * 3_600_000;

/** `next-<run>`, `former-<run>`, `pages-<run>`: what one run stages beside what is published. */
const staged = /^(?:next|former|pages)-(.+?)(?:\.tmp)?$/;
/** A file that `writeWhole` had not renamed yet: a matter of milliseconds. */
const temporary = /^\..+\.[0-9a-f-]{36}\.tmp$/;

/**
 * Removes what nobody needs any more and nobody has touched for `leftoverMs`: scratch folders and staged files of runs that are not
 * `alive`, and half-written files. Answers their paths. Idempotent, also beside runs and other processes that do the same.
 */
export async function removeLeftovers(
  store: Store,
  alive: (run: string) => boolean,
  now = Date.now(),
): Promise<string[]> {
  const dead = (run: string | undefined) => run !== undefined && !alive(run);
  const removed: string[] = [];
  const sweep = async (folder: string, isLeft: (entry: Dirent) => boolean) => {
    for (const entry of await entriesOf(folder)) {
      const path = join(folder, entry.name);
      if (!isLeft(entry) || now - (await changed(path)) < leftoverMs) continue;
      await rm(path, { recursive: true, force: true });
      removed.push(path);
    }
  };
  await sweep(join(store.state, 'work'), ({ name }) => dead(name));
  for (const folder of await keptFolders(store))
    await sweep(folder, (entry) =>
      entry.isFile() && entry.name.endsWith('.json')
        ? false
        : dead(staged.exec(entry.name)?.[1]) || (entry.isFile() && temporary.test(entry.name)),
    );
  return removed;
}

/** The folders of the web root and of each stream in which files are written whole or staged. */
async function keptFolders(store: Store): Promise<string[]> {
  const folders = [store.www()];
  for (const { name: stream } of await entriesOf(join(store.state, 'store'))) {
    const releases = store.releases(stream);
    folders.push(
      ...[store.published(stream), store.releasePublished(stream), releases],
      ...[store.statements(stream), store.outbox(stream), store.idsDir(stream), store.security(stream)],
    );
    for (const { name } of await entriesOf(releases)) folders.push(join(releases, name, 'files'));
    for (const { name } of await entriesOf(store.runsDir(stream)))
      folders.push(store.runDir({ stream, run: name }));
  }
  return folders;
}

const entriesOf = (folder: string) => readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);

/** Milliseconds since 1970; of what has gone meanwhile: now, so that it is left alone. */
const changed = (path: string) =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Infinity,
  );
