/** Signatures of files, against the one key that may have made them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';

/** A keyring of this public key alone, in `work`. */
export async function keyringOf(step: Step, keyFile: string, work: string): Promise<string> {
  await mkdir(work, { recursive: true });
  const keyring = join(work, 'key.gpg');
  await step.run(['gpg', '--batch', '--no-tty', '--yes', '--output', keyring, '--dearmor', keyFile]);
  return keyring;
}

/**
 * Verifies a detached signature of `file`, or without one a clear-signed file; answers the text of that. Fails with BuildDamaged.
 */
export async function verifySignature(
  step: Step,
  keyring: string,
  signature: string,
  file?: string,
): Promise<string> {
  const of = file === undefined ? ['--output', '-', signature] : [signature, file];
  const { exitCode, stdout, stderr } = await step.run(
    ['gpgv', '--status-fd', '2', '--keyring', keyring, ...of],
    { okCodes: [0, 1, 2], capture: 'all' },
  );
  if (exitCode !== 0 || !/^\[GNUPG:\] GOODSIG /m.test(stderr)) {
    const why = /^\[GNUPG:\] (BADSIG|ERRSIG|NO_PUBKEY|EXPKEYSIG|REVKEYSIG|EXPSIG|NODATA)/m.exec(stderr)?.[1];
    throw new Failure(
      'BuildDamaged',
      `${signature}: no good signature of the stream's key (${why ?? 'none'})`,
    );
  }
  return stdout;
}
