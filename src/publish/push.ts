/** What pushes have in common: rsync's options, the files that they carry, what they moved. */
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** What a push moved. */
export interface Pushed {
  readonly files: number;
  /** Bytes of the files that were new to the target. */
  readonly newBytes: number;
  /** Bytes that went over the wire, file lists included. */
  readonly sentBytes: number;
}

export const nothingPushed: Pushed = { files: 0, newBytes: 0, sentBytes: 0 };

export const addPushed = (a: Pushed, b: Pushed): Pushed => ({
  files: a.files + b.files,
  newBytes: a.newBytes + b.newBytes,
  sentBytes: a.sentBytes + b.sentBytes,
});

/**
 * What is new goes, what is there stays: nothing under these names ever changes. Times are kept, so that a later look by
 * rsync is quick.
 */
export const pushOptions = [
  ...['--recursive', '--links', '--times', '--ignore-existing'],
  ...['--stats', '--info=progress2', '--no-inc-recursive'],
] as const;
/** Staged beside their place, renamed at the end. */
export const switchOptions = ['--recursive', '--times', '--checksum', '--delay-updates'] as const;

/** Files of a repo that a push carries, relative to it: what never changes under its name. */
export async function objectFiles(repo: string): Promise<string[]> {
  const files = ['config'];
  for (const part of ['objects', 'deltas', 'delta-indexes']) {
    const entries = await readdir(join(repo, part), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries)
      if (entry.isFile()) files.push(join(relative(repo, entry.parentPath), entry.name));
  }
  return files;
}

/** Reads rsync's `--stats`. */
export function pushed(stats: string): Pushed {
  const number = (pattern: RegExp) => Number((pattern.exec(stats)?.[1] ?? '0').replaceAll(',', ''));
  return {
    files: number(/Number of regular files transferred: ([\d,]+)/),
    newBytes: number(/Total transferred file size: ([\d,]+)/),
    sentBytes: number(/Total bytes sent: ([\d,]+)/),
  };
}
