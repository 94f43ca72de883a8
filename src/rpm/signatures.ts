/** Signatures of RPM files, checked by rpm itself against a fresh key ring. */
import { mkdir, rm } from 'node:fs/promises';
import { anyCode, type Argv, type Step } from '../steps/step.js';

/** Imports keys into a key ring of their own, and checks files against that. */
export const signatureCommands = (
  keyring: string,
  keys: readonly string[],
  files: readonly string[],
): readonly [Argv, Argv] => {
  const rpmkeys = ['rpmkeys', '--dbpath', keyring] as const;
  return [
    [...rpmkeys, '--import', '--', ...keys],
    [...rpmkeys, '--define', '_pkgverify_level all', '--checksig', '--', ...files],
  ];
};

const good = ': digests signatures OK';

/**
 * Those of `files` that are damaged, unsigned, or signed by none of these keys (files of public keys). `keyring` is made again.
 */
export async function notSignedBy(
  step: Step,
  keys: readonly string[],
  files: readonly string[],
  keyring: string,
): Promise<string[]> {
  if (files.length === 0) return [];
  await rm(keyring, { recursive: true, force: true });
  await mkdir(keyring, { recursive: true });
  const [importKeys, check] = signatureCommands(keyring, keys, files);
  await step.run(importKeys);
  // The exit code counts the bad ones.
  const { stdout } = await step.run(check, { okCodes: anyCode, capture: 'all' });
  const verified = new Set(
    stdout
      .split('\n')
      .filter((line) => line.endsWith(good))
      .map((line) => line.slice(0, -good.length)),
  );
  return files.filter((file) => !verified.has(file));
}
