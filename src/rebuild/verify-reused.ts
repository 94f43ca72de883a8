/** Packages that are reused as an earlier build has signed them. */
import { basename, join } from 'node:path';
import { sameEvra, sameSource } from '../domain/dist-tag.js';
import { Failure } from '../domain/failures.js';
import type { ApprovedArgs } from '../domain/inputs.js';
import {
  firstOf,
  rebuildPackages,
  type RebuildPackage,
  type RebuildPackages,
} from '../domain/rebuild-packages.js';
import { frozenStream, type Host } from '../host.js';
import { readHeaders } from '../rpm/headers.js';
import { notSignedBy } from '../rpm/signatures.js';
import type { Step } from '../steps/step.js';
import { sha256 } from '../store/checksums.js';
import { readJson } from '../store/store.js';
import type { Approved } from './approved.js';
import { currentBuild, reusedPackages, testedBuilds } from './reuse.js';
import type { SigningKey } from './sign-rpms.js';

/**
 * Verifies the packages of `reused.json`, which are in `packages/`: reuse was approved, the builds that they come from are in use, and
 * each is what that build has signed of what is accepted now. Answers their records. Fails with LockfileDrift, RebuildWrong.
 */
export async function verifyReused(
  step: Step,
  host: Host,
  args: ApprovedArgs,
  { accepted, rebuild }: Approved,
  key: SigningKey,
  work: string,
): Promise<RebuildPackages> {
  const { store } = host;
  const folder = store.archDir(args, args.arch);
  const reused = Object.entries((await readJson(join(folder, 'reused.json'), reusedPackages)) ?? {});
  if (reused.length === 0) return {};
  if (!args.reuse || args.fix)
    throw new Failure('LockfileDrift', 'packages are reused, but all were asked for again');
  const stream = await frozenStream(host, args);
  const attempts = { accepted: args.build, since: 1, attempt: args.attempt };
  const inUse = new Set([
    await currentBuild(step, host, stream),
    ...(await testedBuilds(host, { ...args, stream }, attempts)),
  ]);
  const records: Record<string, RebuildPackage> = {};
  const problems: string[] = [];
  const files: string[] = [];
  for (const [name, { build, run }] of reused) {
    const from = store.archDir({ stream: stream.name, run }, args.arch);
    const known = inUse.has(build) && (await store.runOf(stream.name, build)) === run;
    const all = known ? await readJson(join(from, 'packages.json'), rebuildPackages) : undefined;
    const record = all && Object.hasOwn(all, name) ? all[name] : undefined;
    const locked = Object.hasOwn(accepted.packages, name) ? accepted.packages[name] : undefined;
    const file = join(folder, 'packages', basename(record?.file ?? ''));
    if (!known) problems.push(`${name}: ${build} is neither released nor in testing`);
    else if (record?.origin !== 'rebuilt' || record.key !== key.fingerprint)
      problems.push(`${name}: ${build} has no such package that is signed with ${key.fingerprint}`);
    else if (`sha256:${await sha256(file).catch(() => '')}` !== record.digest)
      problems.push(`${name}: is not what ${build} has`);
    else if (!locked || !sameEvra(locked.evra, record.evra, rebuild.reimzul.disttag))
      problems.push(`${name}: is ${record.evra}, but ${locked?.evra ?? 'none'} was approved`);
    else {
      records[name] = { ...record, accepted: locked.evra };
      files.push(file);
    }
  }
  if (problems.length > 0) throw new Failure('RebuildWrong', firstOf(problems));
  const headers = await readHeaders(step, files, work);
  for (const [i, [name, { evra }]] of Object.entries(records).entries()) {
    const header = headers[i];
    const source = accepted.packages[name]?.sourcerpm ?? '';
    if (!header || 'failure' in header) problems.push(`${name}: no RPM: ${header?.failure ?? ''}`);
    else if (header.name !== name || header.evra !== evra)
      problems.push(`${name}: is the package ${header.name} ${header.evra}`);
    else if (!sameSource(source, header.sourcerpm, rebuild.reimzul.disttag))
      problems.push(`${name}: was built from ${header.sourcerpm}, not from ${source}`);
  }
  const unsigned = await notSignedBy(step, [key.file], files, join(work, 'reused-keys'));
  problems.push(...unsigned.map((file) => `${basename(file)}: is not signed with ${key.fingerprint}`));
  if (problems.length > 0) throw new Failure('RebuildWrong', firstOf(problems));
  return records;
}
