/** Signatures and the index of a rebuild's packages. */
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Failure, meaning } from '../domain/failures.js';
import { detachSignCommand, type KeyFacts } from '../keys/gpg.js';
import { readHeaders } from '../rpm/headers.js';
import { notSignedBy } from '../rpm/signatures.js';
import type { Argv, Step } from '../steps/step.js';
import { exists } from '../store/store.js';

export interface SigningKey extends KeyFacts {
  /** File of the public key. */
  readonly file: string;
  /** GPG home with its private part, behind gpg-agent. */
  readonly home: string;
}

/** Signs RPM files in place; gpg-agent has the private key, and asks for what it needs. */
export const rpmsignCommand = ({ home, fingerprint }: SigningKey, files: readonly string[]): Argv => {
  const macros = {
    _gpg_name: fingerprint,
    _gpg_path: home,
    __gpg: '/usr/bin/gpg',
    _gpg_digest_algo: 'sha256',
    _gpg_sign_cmd_extra_args: '--batch --no-tty',
  };
  const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  return ['rpmsign', '--addsign', ...defines, '--', ...files];
};

/** Files in one command line, and between two reports of progress. */
const batch = 50;

/**
 * Signs `files` (verified copies in a scratch folder, on the disk of `folder`) and moves them into `folder`, each whole. One that is
 * there already with the same content under a good signature of the key stays. Verifies what it answers for with a fresh key ring.
 * Fails with SigningFailed.
 */
export async function signInto(
  step: Step,
  key: SigningKey,
  files: readonly string[],
  folder: string,
  work: string,
): Promise<void> {
  const keyring = join(work, 'keyring');
  const left = await notThereYet(step, key, files, folder, work);
  step.note(`${files.length - left.length} of ${files.length} are signed already`);
  let done = files.length - left.length;
  for (let at = 0; at < left.length; at += batch) {
    const some = left.slice(at, at + batch);
    await step.run(rpmsignCommand(key, some)).catch(meaning('SigningFailed', key.fingerprint));
    const bad = await notSignedBy(step, [key.file], some, keyring);
    if (bad.length > 0)
      throw new Failure(
        'SigningFailed',
        `signatures of ${key.fingerprint} that do not verify: ${bad.map((file) => basename(file)).join(', ')}`,
      );
    for (const file of some) await rename(file, join(folder, basename(file)));
    done += some.length;
    step.progress({ done, total: files.length, unit: 'packages' });
  }
}

/** Those of `files` that an earlier try has not signed into `folder`. */
async function notThereYet(
  step: Step,
  key: SigningKey,
  files: readonly string[],
  folder: string,
  work: string,
): Promise<string[]> {
  const there: string[] = [];
  for (const file of files) if (await exists(join(folder, basename(file)))) there.push(file);
  const signed = there.map((file) => join(folder, basename(file)));
  const bad = new Set(await notSignedBy(step, [key.file], signed, join(work, 'keyring')));
  const [wanted, found] = [await readHeaders(step, there, work), await readHeaders(step, signed, work)];
  const kept = new Set(
    there.filter((_, i) => {
      const [a, b] = [wanted[i], found[i]];
      const same = a && b && 'header' in a && 'header' in b && a.header === b.header;
      return same && !bad.has(signed[i] ?? '');
    }),
  );
  return files.filter((file) => !kept.has(file));
}

/** Makes `repodata` of the folder and its detached signature `repomd.xml.asc`, beside it first: no reader finds a half one. */
export async function indexPackages(step: Step, key: SigningKey, folder: string): Promise<void> {
  const fresh = `${folder}.index`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  await step.run([
    ...(['createrepo_c', '--quiet', '--no-database', '--general-compress-type', 'gz'] as const),
    ...['--workers', '2', '--outputdir', fresh, folder],
  ]);
  const repomd = join(fresh, 'repodata/repomd.xml');
  await step
    .run(detachSignCommand(key.home, key.fingerprint, repomd))
    .catch(meaning('SigningFailed', 'repomd.xml'));
  await rm(join(folder, 'repodata'), { recursive: true, force: true });
  await rename(join(fresh, 'repodata'), join(folder, 'repodata'));
  await rm(fresh, { recursive: true, force: true });
}

/** Copies files into a scratch folder under new names: what is checked there stays what is signed. */
export async function copyInto(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, file] of files) await copyFile(file, join(folder, name));
}

/** RPM files of a folder. */
export const rpmsOf = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.rpm')).sort();
