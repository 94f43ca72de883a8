/** Builds and signs RPMs. */
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../steps/step.js';
import { specText } from './spec.js';
import type { Staged } from './stage.js';

/** User name of the key that signs the distribution's packages and metadata. */
export const signer = 'Treeline sample distribution';

/** The time that all of the distribution's packages were made at, in seconds: or their bytes would differ from build to build. */
export const epoch = 1_700_000_000;

/**
 * Builds an RPM from a staged buildroot (which rpmbuild removes) and moves it, unsigned, into `out`.
 * The same content gives the same bytes. Answers the file name.
 */
export async function buildRpm(
  step: Step,
  { spec, root }: Staged,
  work: string,
  out: string,
): Promise<string> {
  const specFile = join(work, 'package.spec');
  const rpms = join(work, 'rpms');
  await mkdir(rpms, { recursive: true });
  await writeFile(specFile, specText(spec));
  const defines: Readonly<Record<string, string>> = {
    _topdir: work,
    _rpmdir: rpms,
    _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    _dbpath: join(work, 'db'),
    _binary_payload: 'w3.zstdio',
    _buildhost: 'treeline',
    _build_id_links: 'none',
    // Debian built these files: nothing is stripped, compressed or checked a second time.
    __os_install_post: '%{nil}',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
  };
  await step.run(
    [
      'rpmbuild',
      '-bb',
      '--quiet',
      '--target',
      spec.arch,
      '--buildroot',
      root,
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      specFile,
    ],
    { env: { SOURCE_DATE_EPOCH: `${epoch}` } },
  );
  const [name] = await readdir(rpms);
  if (name === undefined) throw new Error(`rpmbuild made no package for ${spec.name}`);
  await mkdir(out, { recursive: true });
  await rename(join(rpms, name), join(out, name));
  return name;
}

/** Makes the distribution's key when it is missing, and writes the public half to `publicKey`. */
export async function ensureKey(step: Step, gnupg: string, publicKey: string): Promise<void> {
  await mkdir(gnupg, { recursive: true, mode: 0o700 });
  const env = { GNUPGHOME: gnupg };
  const { stdout } = await step.run(['gpg', '--batch', '--list-secret-keys', '--with-colons'], { env });
  if (!/^sec:/m.test(stdout))
    await step.run(
      ['gpg', '--batch', '--passphrase', '', '--quick-generate-key', signer, 'rsa3072', 'sign', 'never'],
      { env },
    );
  await step.run(['gpg', '--batch', '--yes', '--armor', '--output', publicKey, '--export', signer], { env });
}

/** Signs RPM files in place. */
export async function signRpms(step: Step, gnupg: string, files: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  const defines = { _gpg_name: signer, _gpg_path: gnupg, __gpg: '/usr/bin/gpg' };
  await step.run(
    [
      'rpmsign',
      '--addsign',
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      ...files,
    ],
    { env: { GNUPGHOME: gnupg } },
  );
}
