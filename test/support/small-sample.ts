/**
 * A small sample distribution, for streams without images: the sample's packages that can be bumped, on a base of this machine's own
 * programs. Its trees are made in seconds.
 */
import { execa } from 'execa';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishRepo } from '../../src/sample/publish.js';
import { signRpms } from '../../src/sample/rpm.js';
import { base, buildTiny, type TinyPackage } from '../composers/tiny-tree.js';
import { makeScratch } from '../steps/scratch.js';

const packages = ['netbase', 'usr-is-merged', 'treeline-sample-tools'];

const smallBase: TinyPackage = {
  ...base,
  name: 'small-base',
  tags: `${base.tags} coreutils libc6 libc-bin`,
  install: `${base.install}
mkdir -p $r/usr/lib
echo ID=sample > $r/usr/lib/os-release
mkdir -p $r/usr/lib/systemd/system
printf '[Unit]\\nDescription=Small\\n' > $r/usr/lib/systemd/system/multi-user.target
`,
};

/** The base as a signed RPM in `folder`, made once for a test process by whoever asks first. */
let made: Promise<string> | undefined;
async function smallBaseRpm(gnupg: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-small-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const s = await makeScratch('small');
  await buildTiny(s.step, smallBase, s.at('build'), folder);
  const file = join(folder, 'small-base-1-1.x86_64.rpm');
  await execa('mv', [join(folder, 'small-base.rpm'), file]);
  await signRpms(s.step, gnupg, [file]);
  await s.remove();
  return file;
}

/** Makes the sample distribution in `folder` small: what is there else goes. */
export async function shrinkSample(folder: string): Promise<void> {
  const [rpms, gnupg] = [join(folder, 'rpms'), join(folder, 'gnupg')];
  const kept = (file: string) => packages.some((name) => file.startsWith(`${name}-`));
  for (const file of await readdir(rpms))
    if (!kept(file)) await rm(join(rpms, file), { recursive: true, force: true });
  await execa('cp', [await (made ??= smallBaseRpm(gnupg)), rpms]);
  const s = await makeScratch('shrink');
  const files = { advisories: join(folder, 'advisories.json'), updateinfo: join(folder, 'updateinfo.xml') };
  await mkdir(rpms, { recursive: true });
  await publishRepo(s.step, rpms, gnupg, files);
  await s.remove();
}

/** The treefile of a stream of it. */
export const shrinkTreefile = (text: string): string =>
  text
    .replace(
      /^packages:\n(?: {2}- .*\n)*/m,
      `packages:\n  - small-base\n${packages.map((name) => `  - ${name}\n`).join('')}`,
    )
    .replace(/^units:\n(?: {2}- .*\n)*/m, '');
