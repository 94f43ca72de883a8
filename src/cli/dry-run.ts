/** `nightly --dry-run`: every step with its commands. They come from the builders that the steps themselves use. */
import { join } from 'node:path';
import { checksumsFile, signCommitCommand, summaryCommand } from '../activities/sign.js';
import { ostree, remoteCommands, remoteOf } from '../activities/ostree.js';
import { inputHashKey } from '../activities/compose.js';
import { pushOptions, switchOptions } from '../publish/push.js';
import type { ComposeInput } from '../composers/composer.js';
import { composerOf } from '../composers/index.js';
import { expandRepo } from '../domain/repos.js';
import { acceptedKeys, refOf, type Architecture, type Stream } from '../domain/stream.js';
import { imageKinds } from '../images/index.js';
import { machineArgv } from '../images/qemu.js';
import { clearSignCommand, detachSignCommand, signingHome } from '../keys/gpg.js';
import { rsyncCommand } from '../publish/target.js';
import { checkoutCommand, compareCommand } from '../rpm/difference.js';
import type { Settings } from '../settings.js';
import type { Argv } from '../steps/step.js';
import { Store } from '../store/store.js';
import { paint, printJson } from './output.js';

export interface PlannedStep {
  readonly step: string;
  readonly queue: string;
  readonly commands: readonly Argv[];
}

/** What is known only at run time. */
const run = { run: '<run>', build: '<build>', commit: '<commit>', parent: '<parent>', key: '<fingerprint>' };

/** The steps of a stream's nightly in their order, with the commands that each runs. */
export function planNightly(settings: Settings, stream: Stream): PlannedStep[] {
  const store = new Store(settings.state);
  const home = signingHome(settings.state);
  const target = stream.publish.buildlogs;
  const [snapshot, published] = [store.snapshot(stream.name), store.published(stream.name)];
  const perArch = stream.architectures.flatMap((arch) => planArch(settings, stream, arch));
  const client = join(store.work({ stream: stream.name, run: run.run }), 'verify/repo');
  const build = (arch: Architecture) =>
    join(store.archDir({ stream: stream.name, run: run.run }, arch), 'build/');
  const step = (name: string, queue: string, ...commands: Argv[]): PlannedStep => ({
    step: name,
    queue,
    commands,
  });
  return [
    step('load', 'control'),
    ...perArch,
    step(
      'snapshot',
      'publish',
      ...stream.architectures.flatMap((arch) => [
        ostree(
          snapshot,
          'pull-local',
          '--remote=signing-key',
          '--gpg-verify',
          store.repo(stream.name),
          run.commit,
        ),
        ostree(snapshot, 'refs', '--force', `--create=${refOf(stream, arch)}`, run.commit),
      ]),
      ostree(snapshot, 'prune', '--refs-only', '--depth=0'),
    ),
    step('sign-summary', 'signing', summaryCommand(snapshot, run.key, home)),
    step(
      'push-repo',
      'publish',
      rsyncCommand(target, [...pushOptions, '--files-from=<new objects>'], [`${snapshot}/`], 'repo/'),
    ),
    step(
      'push-images',
      'publish',
      ...stream.architectures.map((arch) =>
        rsyncCommand(target, pushOptions, [build(arch)], `builds/${run.build}/${arch}/`),
      ),
    ),
    step('switch', 'publish', rsyncCommand(target, switchOptions, [join(published, 'next-<run>/')], 'repo/')),
    step(
      'verify',
      'publish',
      ...remoteCommands(client, 'client', `${target.url}/repo`, acceptedKeys(stream)),
      ...stream.architectures.map((arch) =>
        ostree(client, 'pull', '--disable-fsync', 'client', refOf(stream, arch)),
      ),
    ),
    step(
      'metadata',
      'publish',
      rsyncCommand(
        target,
        ['--times', '--delay-updates'],
        [join(published, 'next-builds.json')],
        'builds.json',
      ),
    ),
  ];
}

function planArch(settings: Settings, stream: Stream, arch: Architecture): PlannedStep[] {
  const store = new Store(settings.state);
  const own = { stream: stream.name, run: run.run };
  const repo = store.repo(stream.name);
  const work = store.work(own, 'compose', arch);
  const home = signingHome(settings.state);
  const ref = refOf(stream, arch);
  const input: ComposeInput = {
    treefile: stream.treefile,
    releasever: stream.releasever,
    repos: stream.repos.map((one) => expandRepo(one, { arch, releasever: stream.releasever })),
    arch,
    work,
    cache: store.cache(stream.name, arch),
    repo,
  };
  const compose = composerOf(stream.composer).commands(input, {
    ref,
    version: run.build,
    parent: run.parent,
    metadata: { [inputHashKey]: '<sha256>', 'treeline.stream': stream.name },
    timestamp: 0,
  });
  const suffix = stream.architectures.length > 1 ? `-${arch}` : '';
  const step = (name: string, role: string, ...commands: Argv[]): PlannedStep => ({
    step: `${name}${suffix}`,
    queue: role === 'signing' ? role : `${role}-${arch}`,
    commands,
  });
  const remote = remoteOf(arch, stream.publish.buildlogs);
  const out = join(store.archDir(own, arch), 'build');
  const databases = [join(work, '../diff/0'), join(work, '../diff/1')];
  return [
    step('preflight', 'compose'),
    step(
      'parent',
      'compose',
      ...remoteCommands(repo, remote, `${stream.publish.buildlogs.url}/repo`, acceptedKeys(stream)),
      ostree(repo, 'pull', remote, ref),
    ),
    step('resolve', 'compose', ...compose.resolve),
    step('download', 'compose', ...compose.download),
    step('compose', 'compose', ...compose.compose),
    step('inputs', 'compose'),
    step('commit', 'compose', ...compose.commit),
    step('check-content', 'compose', checkoutCommand(repo, run.commit, join(work, '../check-content/rpmdb'))),
    step(
      'diff',
      'compose',
      checkoutCommand(repo, run.commit, databases[0] ?? ''),
      checkoutCommand(repo, run.parent, databases[1] ?? ''),
      compareCommand(databases),
    ),
    step('sign-commit', 'signing', signCommitCommand(repo, run.commit, run.key, home)),
    ...stream.images.flatMap(({ kind: name, size, options, bootTest }) => {
      const kind = imageKinds[name];
      if (!kind) return [];
      const image = {
        ...{ arch, repo, ref, size, out, commit: run.commit, remote: stream.osname, osname: stream.osname },
        name: `${stream.name}-${run.build}-${name}.${arch}`,
        work: store.work(own, `image-${name}`),
      };
      const boot = machineArgv('tcg', {
        ...{
          disk: join(store.work(own, `boot-${name}`), 'boot-overlay.qcow2'),
          network: 'restrict=on',
          work: '',
        },
        ...{ memoryMiB: stream.bootTest.memory / 2 ** 20, cpus: stream.bootTest.cpus, seed: undefined },
        console: join(store.logs(own), `boot-${name}.console.log`),
      });
      return [
        step(`image-${name}`, 'images', ...kind.commands(image, kind.options.parse(options))),
        ...(bootTest ? [step(`boot-${name}`, 'images', boot)] : []),
      ];
    }),
    step(
      'sign-images',
      'signing',
      ...stream.images.map(() => detachSignCommand(home, run.key, join(out, '<image>'))),
      clearSignCommand(home, run.key, join(out, checksumsFile)),
    ),
  ];
}

/** Prints the plan: a heading per step, then its commands. */
export function printPlan(settings: Settings, stream: Stream, json: boolean): void {
  const plan = planNightly(settings, stream);
  if (json) return printJson(plan);
  for (const { step, queue, commands } of plan) {
    console.log(`${paint('bold', step)}  (queue ${queue})`);
    for (const argv of commands) console.log(`  ${argv.map(quoted).join(' ')}`);
  }
}

const quoted = (argument: string) =>
  /^[\w@%+=:,./<>-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
