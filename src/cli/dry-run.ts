/** `nightly --dry-run`: every step with its commands. They come from the builders that the steps themselves use. */
import { join } from 'node:path';
import { checksumsFile } from '../store/checksums.js';
import { signCommitCommand, summaryCommand, ostree, remoteCommands, remoteOf } from '../ostree/repo.js';
import { inputHashKey } from '../composers/input-hash.js';
import type { ComposeInput } from '../composers/composer.js';
import { composerOf } from '../composers/index.js';
import { buildSteps, type BuildStep, type BuildStepName } from '../domain/build-steps.js';
import { expandRepo } from '../domain/repos.js';
import { acceptedKeys, refOf, type Architecture, type Stream } from '../domain/stream.js';
import { imageKinds } from '../images/index.js';
import { machineArgv } from '../images/qemu.js';
import { clearSignCommand, detachSignCommand, signingHome } from '../keys/gpg.js';
import { publishTo } from '../publish/targets/index.js';
import { checkoutCommand, compareCommand } from '../rpm/difference.js';
import type { Settings } from '../settings.js';
import type { Argv } from '../steps/step.js';
import { Store } from '../store/store.js';
import { paint, printJson } from './output.js';

export interface PlannedStep {
  readonly step: string;
  readonly title: string;
  readonly queue: string;
  readonly commands: readonly Argv[];
}

/** What is known only at run time. */
const run = { run: '<run>', build: '<build>', commit: '<commit>', parent: '<parent>', key: '<fingerprint>' };

/** The steps of a stream's nightly in their order, with the commands that each runs. */
export function planNightly(settings: Settings, stream: Stream): PlannedStep[] {
  const [commands, imageCommands] = [commandsOf(settings, stream), imageCommandsOf(settings, stream)];
  const { architectures, images } = stream;
  const several = architectures.length > 1;
  const plan: PlannedStep[] = [];
  for (const name of Object.keys(buildSteps) as BuildStepName[]) {
    const { role, each }: BuildStep = buildSteps[name];
    for (const arch of each ? architectures : architectures.slice(0, 1)) {
      const queue = role === 'compose' || role === 'images' ? `${role}-${arch}` : role;
      const suffix = each && several ? `-${arch}` : '';
      const add = (step: string, title: string, argvs: readonly Argv[]) =>
        plan.push({ step: `${step}${suffix}`, title, queue, commands: argvs });
      if (name !== 'image' && name !== 'boot') add(name, buildSteps[name].title, commands[name](arch));
      else
        for (const image of images.filter(({ bootTest }) => name === 'image' || bootTest))
          add(`${name}-${image.kind}`, buildSteps[name].title(image.kind), imageCommands[name](arch, image));
    }
  }
  return plan;
}

/** The commands of each step, of an architecture where they differ by that; none of what Treeline does itself. */
function commandsOf(
  settings: Settings,
  stream: Stream,
): Record<Exclude<BuildStepName, 'image' | 'boot'>, (arch: Architecture) => readonly Argv[]> {
  const { architectures, images } = stream;
  const store = new Store(settings.state);
  const own = { stream: stream.name, run: run.run };
  const home = signingHome(settings.state);
  const target = stream.publish.buildlogs;
  const repo = store.repo(stream.name);
  const [snapshot, published] = [store.snapshot(stream.name), store.published(stream.name)];
  const client = join(store.work(own, 'verify/repo'));
  const none = () => [];
  const compose = (arch: Architecture) => {
    const input: ComposeInput = {
      treefile: stream.treefile,
      releasever: stream.releasever,
      repos: stream.repos.map((one) => expandRepo(one, { arch, releasever: stream.releasever })),
      arch,
      work: store.work(own, 'compose', arch),
      cache: store.cache(stream.name, arch),
      repo,
    };
    return composerOf(stream.composer).commands(input, {
      ref: refOf(stream, arch),
      version: run.build,
      parent: run.parent,
      metadata: { [inputHashKey]: '<sha256>', 'treeline.stream': stream.name },
      timestamp: 0,
    });
  };
  return {
    load: none,
    preflight: none,
    parent: (arch) => {
      const remote = remoteOf(arch, target);
      return [
        ...remoteCommands(repo, remote, `${target.url}/repo`, acceptedKeys(stream)),
        ostree(repo, 'pull', remote, refOf(stream, arch)),
      ];
    },
    resolve: (arch) => compose(arch).resolve,
    fixes: none,
    reserve: none,
    download: (arch) => compose(arch).download,
    compose: (arch) => compose(arch).compose,
    inputs: none,
    commit: (arch) => compose(arch).commit,
    'check-content': (arch) => [
      checkoutCommand(repo, run.commit, join(store.work(own, 'compose', arch), '../check-content/rpmdb')),
    ],
    diff: (arch) => {
      const work = store.work(own, 'compose', arch);
      const [ours, parents] = [join(work, '../diff/0'), join(work, '../diff/1')];
      return [
        checkoutCommand(repo, run.commit, ours),
        checkoutCommand(repo, run.parent, parents),
        compareCommand([ours, parents]),
      ];
    },
    'sign-commit': () => [signCommitCommand(repo, run.commit, run.key, home)],
    'sign-images': (arch) => {
      const out = join(store.archDir(own, arch), 'build');
      return [
        ...images.map(() => detachSignCommand(home, run.key, join(out, '<image>'))),
        clearSignCommand(home, run.key, join(out, checksumsFile)),
      ];
    },
    snapshot: () => [
      ...architectures.flatMap((arch) => [
        ostree(snapshot, 'pull-local', '--remote=signing-key', '--gpg-verify', repo, run.commit),
        ostree(snapshot, 'refs', '--force', `--create=${refOf(stream, arch)}`, run.commit),
      ]),
      ostree(snapshot, 'prune', '--refs-only', '--depth=0'),
    ],
    'sign-summary': () => [summaryCommand(snapshot, run.key, home)],
    'push-repo': () => [...publishTo(target).commands({ folder: snapshot }, 'repo', 'new')],
    'push-images': () =>
      architectures.flatMap((arch) => {
        const folder = join(store.archDir(own, arch), 'build');
        return publishTo(target).commands({ folder }, `builds/${run.build}/${arch}`, 'new');
      }),
    switch: () => publishTo(target).commands({ folder: join(published, 'next-<run>') }, 'repo', 'compared'),
    verify: () => [
      ...remoteCommands(client, 'client', `${target.url}/repo`, acceptedKeys(stream)),
      ...architectures.map((arch) =>
        ostree(client, 'pull', '--disable-fsync', 'client', refOf(stream, arch)),
      ),
    ],
    metadata: () => {
      const index = join(published, 'next-builds.json');
      return publishTo(target).commands({ file: index }, 'builds.json', 'changed');
    },
    compare: none,
  };
}

/** The commands of the steps that each image has. */
function imageCommandsOf(
  settings: Settings,
  stream: Stream,
): Record<'image' | 'boot', (arch: Architecture, image: Stream['images'][number]) => readonly Argv[]> {
  const store = new Store(settings.state);
  const own = { stream: stream.name, run: run.run };
  const { osname } = stream;
  return {
    image: (arch, { kind: name, size, options }) => {
      const kind = imageKinds[name];
      if (!kind) return [];
      const image = {
        ...{ arch, size, osname, remote: osname, ref: refOf(stream, arch), commit: run.commit },
        repo: store.repo(stream.name),
        out: join(store.archDir(own, arch), 'build'),
        name: `${stream.name}-${run.build}-${name}.${arch}`,
        work: store.work(own, `image-${name}`),
      };
      return kind.commands(image, kind.options.parse(options));
    },
    boot: (_arch, { kind: name }) => [
      machineArgv({
        accelerator: settings.accelerator === 'tcg' ? 'tcg' : 'kvm',
        disk: join(store.work(own, `boot-${name}`), 'boot-overlay.qcow2'),
        ...{ network: 'restrict=on', work: '', seed: undefined },
        ...{ memoryMiB: stream.bootTest.memory / 2 ** 20, cpus: stream.bootTest.cpus },
        console: join(store.logs(own), `boot-${name}.console.log`),
      }),
    ],
  };
}

/** Prints the plan: a heading per step, then its commands. */
export function printPlan(settings: Settings, stream: Stream, json: boolean): void {
  const plan = planNightly(settings, stream);
  if (json) return printJson(plan);
  for (const { step, title, queue, commands } of plan) {
    console.log(`${paint('bold', step)}  (queue ${queue})  ${title}`);
    for (const argv of commands) console.log(`  ${argv.map(quoted).join(' ')}`);
  }
}

const quoted = (argument: string) =>
  /^[\w@%+=:,./<>-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
