/** A stream's folder, as a run keeps it: regular files and folders, of a bounded number and size. */
import { chmod, lstat, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { readFileBytes, reasonOf } from '../steps/read-file.js';

const maxFiles = 5000;
const maxBytes = 256 * 2 ** 20;
const maxDepth = 32;

interface Found {
  readonly folders: readonly string[];
  /** Paths in the folder. A link to a file counts as the file. */
  readonly files: readonly string[];
  /** `path: what is wrong`. */
  readonly problems: readonly string[];
}

/** What there is; follows no link to a folder. Fails with StreamInvalid where the folder cannot be read. */
export async function listStreamFiles(folder: string): Promise<Found> {
  const found = { folders: [] as string[], files: [] as string[], problems: [] as string[] };
  let bytes = 0;

  async function visit(path: string, depth: number): Promise<void> {
    const here = join(folder, path);
    const entries = await readdir(here).catch((error: unknown) => {
      throw new Failure('StreamInvalid', `${here}: ${reasonOf(error)}`);
    });
    for (const name of entries.sort()) {
      const inner = join(path, name);
      const whole = join(folder, inner);
      const own = await lstat(whole);
      const target = await stat(whole).catch(reasonOf);
      if (typeof target === 'string')
        found.problems.push(`${whole}: ${own.isSymbolicLink() ? 'is a link to nothing' : target}`);
      else if (target.isFile()) {
        found.files.push(inner);
        bytes += target.size;
      } else if (own.isDirectory()) {
        found.folders.push(inner);
        if (depth < maxDepth) await visit(inner, depth + 1);
        else found.problems.push(`${whole}: folders are nested more than ${maxDepth} deep`);
      } else
        found.problems.push(
          `${whole}: ${target.isDirectory() ? 'links to a folder: put the folder itself here' : 'is not a regular file: remove it'}`,
        );
      if (found.files.length + found.folders.length > maxFiles || bytes > maxBytes) return;
    }
  }

  await visit('', 0);
  if (found.files.length + found.folders.length > maxFiles)
    found.problems.push(`${folder}: has more than ${maxFiles} files: keep only the stream's own here`);
  else if (bytes > maxBytes)
    found.problems.push(
      `${folder}: has more than ${maxBytes / 2 ** 20} MiB: keep only the stream's own files here`,
    );
  return found;
}

/** Copies a stream's folder, links as the files that they lead to. Fails with StreamInvalid: a line per file that cannot be kept. */
export async function freezeStream(folder: string, to: string): Promise<void> {
  const { folders, files, problems } = await listStreamFiles(folder);
  if (problems.length > 0) throw new Failure('StreamInvalid', problems.join('\n'));
  await mkdir(to, { recursive: true });
  for (const path of folders) await mkdir(join(to, path), { recursive: true });
  for (const path of files) {
    await writeFile(join(to, path), await readFileBytes(join(folder, path), maxBytes));
    await chmod(join(to, path), (await stat(join(folder, path))).mode & 0o777);
  }
}
