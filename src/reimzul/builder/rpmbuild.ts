/** Rebuilds a source RPM in the sandbox. */
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { anyCode, type RunResult, type Step } from '../../steps/step.js';
import { inside, prepareSandbox, sandboxed, type Limits } from './sandbox.js';

export interface Rebuild {
  /** Path of the source RPM, whose name has been checked. */
  readonly srpm: string;
  /** Such as `.el7_4`; empty for none. */
  readonly disttag: string;
  /** What rpmbuild calls the target: `x86_64`, `i386`, `noarch`. */
  readonly arch: string;
  /** Time of the source RPM's making, in seconds: it stands for that of the rebuild, so that one rebuild is like the next. */
  readonly epoch: number;
  /** Scratch folder that does not exist yet; the caller removes it. */
  readonly work: string;
  readonly limits: Limits;
}

export interface Rebuilt extends RunResult {
  /** Paths of the RPMs, the source RPM with its new release among them; nothing else is known of them but that they are files. */
  readonly rpms: readonly string[];
}

/**
 * Runs rpmbuild; how it ended is its exit code. The same source gives the same bytes. `limits.seconds` is the caller's, who has the
 * step's signal. What a package needs for its build must be installed on the machine: rpm knows nothing of Debian's packages.
 */
export async function rebuild(step: Step, of: Rebuild): Promise<Rebuilt> {
  const { srpm, disttag, arch, epoch, work, limits } = of;
  await mkdir(join(work, 'out'), { recursive: true });
  await copyFile(srpm, join(work, basename(srpm)));
  await prepareSandbox(work);
  const defines: Readonly<Record<string, string>> = {
    ...(disttag ? { dist: disttag } : {}),
    _topdir: `${inside}/rpmbuild`,
    _rpmdir: `${inside}/out`,
    _srcrpmdir: `${inside}/out`,
    _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    _tmppath: '/tmp',
    _dbpath: `${inside}/db`,
    _binary_payload: 'w3.zstdio',
    _buildhost: 'treeline',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
  };
  const result = await step.run(
    sandboxed(work, limits, [
      'env',
      `SOURCE_DATE_EPOCH=${epoch}`,
      'rpmbuild',
      '-ra',
      '--nodeps',
      ...['--target', arch],
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      '--',
      basename(srpm),
    ]),
    { okCodes: anyCode },
  );
  // The build owns this folder: a link in it could lead anywhere.
  const made = await readdir(join(work, 'out'), { withFileTypes: true });
  const rpms = made.filter((entry) => entry.isFile() && entry.name.endsWith('.rpm'));
  return { ...result, rpms: rpms.map(({ name }) => join(work, 'out', name)).sort() };
}
