/** What a reader gets of a build's files: every byte, and the signatures as they are served. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { BuildMeta } from '../domain/metadata.js';
import { keyringOf, verifySignature } from '../keys/verify.js';
import { ask, save, type Request } from '../steps/http.js';
import type { Step } from '../steps/step.js';
import { asReader } from './readers.js';

/**
 * Downloads images, signatures and checksums of a build from `url` as anybody would, compares each image's sha256 with its metadata and
 * with the signed checksums, and verifies the signatures with the stream's key. `work` is a scratch folder of its own, with room for the
 * largest image. Fails with VerificationFailed, TargetUnreachable.
 */
export async function verifyDownloads(
  step: Step,
  url: string,
  meta: BuildMeta,
  { key, work }: { key: string; work: string },
): Promise<void> {
  await rm(work, { recursive: true, force: true });
  const keyring = await keyringOf(step, key, join(work, 'keys'));
  const signed = (signature: string, file?: string) =>
    verifySignature(step, keyring, signature, file).catch((error: unknown) => {
      if (!(error instanceof Failure) || error.code !== 'BuildDamaged') throw error;
      throw new Failure('VerificationFailed', error.message.replace(`${work}/`, `${url}/`));
    });
  const sums: string[] = [];
  for (const image of Object.values(meta.images)) {
    const file = join(work, image.path);
    const signature = image.signature ?? `${image.path}.asc`;
    const digest = await download(step, `${url}/${image.path}`, file, image.size);
    if (digest !== image.sha256)
      throw new Failure(
        'VerificationFailed',
        `${url}/${image.path}: readers get sha256 ${digest}, but it was made as ${image.sha256}`,
      );
    await download(step, `${url}/${signature}`, join(work, signature));
    await signed(join(work, signature), file);
    await rm(file);
    sums.push(`${digest}  ${image.path}`);
  }
  const { checksums } = meta.treeline;
  if (checksums !== undefined) {
    await download(step, `${url}/${checksums}`, join(work, checksums));
    if ((await signed(join(work, checksums))).trim() !== sums.sort().join('\n'))
      throw new Failure(
        'VerificationFailed',
        `${url}/${checksums}: does not list the images as readers get them`,
      );
  }
  await rm(work, { recursive: true, force: true });
}

/** What a signature or a list of checksums has at most, in bytes. */
const smallBytes = 16 * 2 ** 20;

/** Hex sha256 of what was downloaded to `file`. `size`, in bytes, is that of an image. */
async function download(step: Step, url: string, file: string, size?: number): Promise<string> {
  const request: Request = {
    ...asReader(step),
    refused: 'VerificationFailed',
    maxBytes: size ?? smallBytes,
  };
  const { sha256 } = await ask(url, request, ({ body }) =>
    save(body, file, (done) => {
      if (size !== undefined) step.progress({ done, total: size, unit: 'bytes' });
    }),
  );
  return sha256;
}
