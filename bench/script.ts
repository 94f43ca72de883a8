/** Runs the 2015 script, and measures it. */
import { execa } from 'execa';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTreefile } from '../src/composers/dnf/treefile.js';
import { refOf } from '../src/domain/stream.js';
import { readKey, signingHome } from '../src/keys/gpg.js';
import { packageRoot, readSettings } from '../src/settings.js';
import { loadStream } from '../src/streams/load.js';
import { arch, benchStep, prepareState, serveWeb, streamName } from './instance.js';

export interface ScriptRun {
  readonly seconds: number;
  /** Packages in the tree. */
  readonly packages: number;
  /** Seconds of each stage, in order. */
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
}

/** One run of the script on a fresh state: nothing published before, nothing cached. */
export async function runScript(environment: Record<string, string>, bootTests: boolean): Promise<ScriptRun> {
  const settings = readSettings(environment);
  const step = await benchStep(settings);
  await prepareState(settings, step, bootTests);
  const stream = await loadStream(settings, streamName);
  const treefile = await readTreefile(stream.treefile, arch);
  const [repo] = stream.repos;
  if (!repo) throw new Error(`${streamName} has no package repo`);
  const env = {
    ...environment,
    PATH: settings.path,
    HOME: join(settings.state, 'home'),
    LANG: 'C.UTF-8',
    WORK: join(settings.state, 'work', '2015'),
    TARGET: join(settings.state, 'www', '2015'),
    BASEURL: repo.baseurl,
    PACKAGE_KEY: repo.gpgKeys[0] ?? '',
    RELEASEVER: stream.releasever,
    PACKAGES: treefile.packages.join(' '),
    UNITS: treefile.units.join(' '),
    DEFAULT_TARGET: treefile.defaultTarget ?? '',
    INITRAMFS_ARGS: treefile.initramfsArgs.join(' '),
    POSTPROCESS: join(settings.streams, streamName, 'postprocess.sh'),
    REF: refOf(stream, arch),
    VERSION: `${new Date().toISOString().slice(0, 10).replaceAll('-', '')}_01`,
    KEY: (await readKey(step, stream.signingKey)).fingerprint,
    KEY_HOME: signingHome(settings.state),
    IMAGES: stream.images.map(({ kind }) => kind).join(' '),
    BOOT: bootTests ? 'yes' : 'no',
    NODE: process.execPath,
    PIECE: fileURLToPath(new URL('piece.js', import.meta.url)),
    RPMDB: join(packageRoot, 'src/composers/dnf/rpmdb.py'),
  };
  const web = await serveWeb(settings);
  try {
    const script = join(packageRoot, 'bench/nightly-2015.sh');
    const { stdout } = await runGroup(['bash', script], env);
    const marks = [...stdout.matchAll(/^(\d+\.\d+) (\S.*)$/gm)].map(([, time, name]) => ({
      time: Number(time),
      name: name ?? '',
    }));
    const packages = Number(/^packages (\d+)$/m.exec(stdout)?.[1]);
    const stages = marks
      .slice(0, -1)
      .map(({ time, name }, i) => ({ name, seconds: (marks[i + 1]?.time ?? time) - time }));
    return { seconds: (marks.at(-1)?.time ?? 0) - (marks[0]?.time ?? 0), packages, stages };
  } finally {
    await web.close();
    await step.run(['gpgconf', '--homedir', signingHome(settings.state), '--kill', 'all']);
  }
}

/** Runs a command in a process group of its own, all of which ends with this process. */
async function runGroup([file, ...args]: [string, ...string[]], env: Record<string, string>) {
  const child = execa(file, args, { env, extendEnv: false, detached: true, stdin: 'ignore' });
  const end = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  process.once('exit', end);
  return child.finally(() => process.removeListener('exit', end));
}
