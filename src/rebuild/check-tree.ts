/** The checks that the baseline's operators wanted of a signed tree. Each answers its problems, a line for people each. */
import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ostree, remoteCommands } from '../ostree/repo.js';
import { sha256 } from '../store/checksums.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { RebuildPackages } from '../domain/rebuild-packages.js';
import type { Stream } from '../domain/stream.js';
import { readKey } from '../keys/gpg.js';
import { checkoutCommand } from '../rpm/difference.js';
import { readDatabase, readHeaders } from '../rpm/headers.js';
import { notSignedBy } from '../rpm/signatures.js';
import { causeOf } from '../steps/cause.js';
import type { Step } from '../steps/step.js';

/** A commit and the repo that has it. */
export interface Tree {
  readonly repo: string;
  readonly commit: string;
}

/**
 * Is every package of the tree's RPM database one of `packages.json`, byte for byte by its header, with a signature by the right key:
 * ours for one that was rebuilt now, else a key of the repo (of `repos`) that the lockfile says it came from?
 */
export async function packageProblems(
  step: Step,
  tree: Tree,
  folder: string,
  packages: RebuildPackages,
  { accepted, repos, rpmKey }: { accepted: Lockfile; repos: Stream['repos']; rpmKey: string },
  work: string,
): Promise<string[]> {
  const problems: string[] = [];
  const list = Object.entries(packages).map(([name, one]) => ({
    name,
    ...one,
    path: join(folder, one.file),
  }));
  for (const { name, path, digest } of list) {
    const found = await sha256(path).catch(() => 'missing');
    if (`sha256:${found}` !== digest)
      problems.push(`${name}: its file is ${found}, but was recorded as ${digest}`);
  }
  if (problems.length > 0) return problems;

  const keysOf = new Map([
    ['rebuilt', [rpmKey]],
    ...repos.map(({ id, gpgKeys }) => [`repo ${id}`, gpgKeys] as const),
  ]);
  // What a security release takes from its base was rebuilt and signed then: it is as it was accepted.
  const sourceOf = ({ name, origin, digest }: { name: string; origin: string; digest: string }) =>
    origin === 'rebuilt' && accepted.packages[name]?.digest !== digest
      ? 'rebuilt'
      : `repo ${accepted.packages[name]?.repo ?? 'unknown'}`;
  for (const source of new Set(list.map(sourceOf))) {
    const own = list.filter((one) => sourceOf(one) === source).map(({ path }) => path);
    const keys = keysOf.get(source);
    const bad = keys ? await notSignedBy(step, keys, own, join(work, 'keyring')) : own;
    problems.push(
      ...bad.map(
        (path) =>
          `${basename(path)}: not signed by ${source === 'rebuilt' ? 'our key' : `a key of ${source}`}`,
      ),
    );
  }

  const database = join(work, 'rpmdb');
  await step.run(checkoutCommand(tree.repo, tree.commit, database));
  const inTree = new Map((await readDatabase(step, database, work)).map((header) => [header.name, header]));
  const headers = await readHeaders(
    step,
    list.map(({ path }) => path),
    work,
  );
  for (const [i, { name, evra }] of list.entries()) {
    const [file, found] = [headers[i], inTree.get(name)];
    inTree.delete(name);
    if (!found) problems.push(`${name}: not in the tree`);
    else if (!file || 'failure' in file || found.header !== file.header || found.sigmd5 !== file.sigmd5)
      problems.push(`${name}: the tree has ${found.evra}, which is not the ${evra} of this rebuild`);
    else if (found.signature === null) problems.push(`${name}: has no signature in the tree`);
    else if (found.signature.digest !== file.signature?.digest)
      problems.push(`${name}: has another signature in the tree, by ${found.signature.key}`);
  }
  for (const { name, evra } of inTree.values()) problems.push(`${name}: ${evra} is not of this rebuild`);
  return problems;
}

/** Does the tree's own remote lead to the mirror, with signatures verified by a key that we sign with? */
export async function remoteProblems(
  step: Step,
  tree: Tree,
  stream: Stream,
  work: string,
): Promise<string[]> {
  const { osname, publish, release, signingKey } = stream;
  const file = `/usr/etc/ostree/remotes.d/${osname}.conf`;
  const text = await cat(step, tree, file);
  if (text === undefined) return [`${file}: missing`];
  const settings = remoteSettings(text, osname);
  if (!settings) return [`${file}: has no [remote "${osname}"]`];
  const problems: string[] = [];
  const mirror = publish.mirror && `${publish.mirror.url.replace(/\/+$/, '')}/repo`;
  const wanted = release?.rebuild?.remoteUrl ?? mirror;
  const same = (a = '', b = '') => a.replace(/\/+$/, '') === b.replace(/\/+$/, '');
  if (wanted === undefined)
    problems.push('the stream has no `publish.mirror`, and no `release.rebuild.remoteUrl`');
  else if (!same(settings.get('url'), wanted))
    problems.push(`${file}: url is ${settings.get('url') ?? 'missing'}, but must be ${wanted}`);
  for (const key of ['gpg-verify', 'gpg-verify-summary'])
    if (settings.get(key) !== 'true')
      problems.push(`${file}: ${key} is ${settings.get(key) ?? 'missing'}, but must be true`);
  const { fingerprint } = await readKey(step, signingKey);
  const keys = await trustedKeys(step, tree, settings.get('gpgkeypath'), work);
  if (!keys.fingerprints.includes(fingerprint))
    problems.push(`${file}: does not trust ${fingerprint}, with which we sign, but ${keys.from}`);
  return problems;
}

/** Verifies the commit's signature as a client does that has the stream's key alone. */
export async function signatureProblems(
  step: Step,
  { repo, commit }: Tree,
  signingKey: string,
  work: string,
): Promise<string[]> {
  const client = join(work, 'client');
  await mkdir(client, { recursive: true });
  await step.run(ostree(client, 'init', '--mode=archive'));
  // The address is never asked: what is pulled is on this disk.
  for (const command of remoteCommands(client, 'signed', 'http://127.0.0.1/', [signingKey]))
    await step.run(command);
  const pull = ostree(
    client,
    'pull-local',
    '--commit-metadata-only',
    '--gpg-verify',
    '--remote=signed',
    repo,
    commit,
  );
  const { exitCode, stderr } = await step.run(pull, { okCodes: [0, 1] });
  if (exitCode === 0) return [];
  return [`commit ${commit}: no good signature of the stream's key: ${causeOf('', stderr)}`];
}

/** The keys of one `[remote "name"]` section; undefined without it. */
function remoteSettings(text: string, name: string): Map<string, string> | undefined {
  let inside = false;
  let found: Map<string, string> | undefined;
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line.startsWith('[')) {
      inside = line === `[remote "${name}"]`;
      if (inside) found ??= new Map();
    } else if (inside && !line.startsWith('#') && line.includes('=')) {
      const at = line.indexOf('=');
      found?.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
    }
  }
  return found;
}

/** Primary keys that the tree trusts for a remote: those of `gpgkeypath`, or without it ostree's folders for all remotes. */
async function trustedKeys(
  step: Step,
  tree: Tree,
  gpgkeypath: string | undefined,
  work: string,
): Promise<{ fingerprints: string[]; from: string }> {
  const places = (gpgkeypath ?? '/usr/share/ostree/trusted.gpg.d;/etc/ostree/trusted.gpg.d')
    .split(';')
    .filter(Boolean);
  const fingerprints: string[] = [];
  for (const [i, place] of places.entries()) {
    const path = place.replace(/^\/etc\//, '/usr/etc/');
    const folder = join(work, `trusted-${i}`);
    const checkout = ostree(tree.repo, 'checkout', '--user-mode', `--subpath=${path}`, tree.commit, folder);
    // 1: there is no such file or folder in the tree.
    if ((await step.run(checkout, { okCodes: [0, 1] })).exitCode !== 0) continue;
    // No links: those of a tree lead somewhere else on this machine.
    for (const file of (await readdir(folder, { withFileTypes: true })).filter((one) => one.isFile()))
      fingerprints.push(...(await primaryKeys(step, join(folder, file.name))));
  }
  return { fingerprints, from: `${fingerprints.join(', ') || 'no key'} (${places.join(', ')})` };
}

/** Those that are neither expired nor revoked. */
async function primaryKeys(step: Step, file: string): Promise<string[]> {
  const { stdout } = await step.run(
    [
      ...(['gpg', '--batch', '--no-tty', '--no-default-keyring', '--keyring', '/dev/null'] as const),
      ...['--with-colons', '--show-keys', file],
    ],
    { okCodes: [0, 2] },
  );
  let usable = false;
  return stdout.split('\n').flatMap((line) => {
    const field = line.split(':');
    if (field[0] === 'pub') usable = !/[eri]/.test(field[1] ?? '');
    else if (field[0] === 'fpr' && usable) {
      // The next one is a subkey's.
      usable = false;
      return [field[9] ?? ''];
    }
    return [];
  });
}

/** The text of a file of the commit; undefined if there is none. */
async function cat(step: Step, { repo, commit }: Tree, path: string): Promise<string | undefined> {
  const { stdout, exitCode } = await step.run(ostree(repo, 'cat', commit, path), { okCodes: [0, 1] });
  return exitCode === 0 ? stdout : undefined;
}
