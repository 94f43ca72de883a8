/** Reads files that people write: regular ones of a bounded size. What is none (a FIFO, a device, a folder) never blocks or ends the process. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Failure, type FailureCode } from '../domain/failures.js';

/** Bytes; far more than any stream file, treefile, script or key. */
export const smallFile = 256 * 1024;

/** Reads a file of at most `maxBytes`. Links are followed. Fails with `invalid`, naming the file and what is wrong. */
export async function readFileBytes(
  path: string,
  maxBytes = smallFile,
  invalid: FailureCode = 'StreamInvalid',
): Promise<Buffer> {
  const no = (why: string) => new Failure(invalid, `${path}: ${why}`);
  // Without O_NONBLOCK a FIFO would wait for its writer.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (error: unknown) => {
      throw no(reasonOf(error));
    },
  );
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw no(info.isDirectory() ? 'is a folder, not a file' : 'is not a regular file');
    return await readAll(handle, maxBytes, () => no(`is larger than ${sizeOf(maxBytes)}`));
  } finally {
    await handle.close();
  }
}

/** The same as text: UTF-8, with or without a byte order mark. */
export async function readFileText(
  path: string,
  maxBytes = smallFile,
  invalid: FailureCode = 'StreamInvalid',
): Promise<string> {
  const bytes = await readFileBytes(path, maxBytes, invalid);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const before = bytes.toString('utf8').split('\ufffd', 1)[0] ?? '';
    throw new Failure(
      invalid,
      `${path}:${before.split('\n').length}: is not UTF-8 text: save it in that encoding`,
    );
  }
}

/** Not by the size that the file system tells: some files have none, and others grow. */
async function readAll(handle: FileHandle, maxBytes: number, tooLarge: () => Failure): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let size = 0; ;) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024));
    if (bytesRead === 0) return Buffer.concat(chunks);
    size += bytesRead;
    if (size > maxBytes) throw tooLarge();
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

const sizeOf = (bytes: number) => (bytes < 2 ** 20 ? `${bytes / 1024} KiB` : `${bytes / 2 ** 20} MiB`);

/** Why a file cannot be read, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file';
  if (code === 'ELOOP') return 'is a link that leads to itself';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  if (code === 'ENXIO') return 'is not a regular file';
  return message;
}
