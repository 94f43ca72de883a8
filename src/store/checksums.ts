/** Checksums of files, and the file that lists them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** Name of the checksums file; its clear-signed form has `.asc` behind it. */
export const checksumsFile = 'sha256sum.txt';

/** Hex sha256 of a file. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
