/**
 * An instance's state with published builds of a tiny stream, made once by the real steps from the commit on: what releases begin
 * from. Instances begin with copies of it.
 */
import { execa } from 'execa';
import { rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Host } from '../../src/host.js';
import { publishActivities } from '../../src/activities/publish.js';
import type { PublishArgs } from '../../src/domain/inputs.js';
import { sha256 } from '../../src/store/checksums.js';
import { signActivities } from '../../src/activities/sign.js';
import type { RebuildPackages } from '../../src/domain/rebuild-packages.js';
import type { Stream } from '../../src/domain/stream.js';
import { makeInstanceKey } from '../../src/keys/gpg.js';
import { readSettings } from '../../src/settings.js';
import { exists, Store, writeJson } from '../../src/store/store.js';
import { loadStream } from '../../src/streams/load.js';
import { serve } from '../../src/web/serve.js';
import { People, type Person } from '../keys/people.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { freePort } from './ports.js';

export interface TinyBuild {
  readonly build: string;
  readonly run: string;
  readonly commit: string;
}

/** Settings of the tiny stream that tests vary. */
export interface TinySettings {
  readonly approvers: readonly Person[];
  readonly smtpPort: number;
  /** Where releases are written; default a folder that the instance's web server serves. */
  readonly location?: string;
  /** Signed rebuilds are released; `location` is mirror's then. */
  readonly signed?: boolean;
  /** Addresses of mirrors that must serve a release before it is announced. */
  readonly mirrors?: readonly string[];
}

/** The line of signed builds. */
const signedTiny = 'tiny.signed';

const refs = ['tiny/x86_64/standard', 'tiny/x86_64/release'] as const;
/** The ref of releases. */
export const releaseRef = refs[1];
const arch = 'x86_64';

/** Declares the stream. The instance's own key signs the announcements too. */
export async function declareTiny(
  streams: string,
  { approvers, smtpPort, signed = false, mirrors = [], ...settings }: TinySettings,
): Promise<void> {
  const { location = `\${state}/www/${signed ? 'mirror' : 'releases'}/tiny` } = settings;
  const served = (name: string) => ({
    location: `\${state}/www/${name}/tiny`,
    url: `\${web}/${name}/tiny`,
  });
  await mkdir(join(streams, 'tiny'), { recursive: true });
  const declared = {
    name: 'tiny',
    title: 'Tiny',
    treefile: 'treefile.yaml',
    ref: 'tiny/${arch}/standard',
    osname: 'tiny',
    releasever: '1',
    composer: 'dnf',
    repos: [{ id: 'base', baseurl: '${web}/rpms', gpgKeys: ['/none'] }],
    images: [{ kind: 'qcow2' }],
    signingKey: '${state}/keys/treeline.asc',
    publish: {
      buildlogs: served('buildlogs'),
      ...(signed
        ? {
            testing: served('testing'),
            mirror: { ...served('mirror'), location },
            cloud: served('cloud'),
          }
        : { release: { ...served('releases'), location } }),
    },
    release: {
      ...(signed ? { mode: 'signed-rebuild', rebuild: rebuild(mirrors) } : {}),
      ref: 'tiny/${arch}/release',
      approvers: approvers.map(({ name, key }) => ({ name, key })),
      mail: { server: `smtp://127.0.0.1:${smtpPort}`, startTls: 'never', from: 'sig@tiny.invalid' },
      sig: { to: ['sig@tiny.invalid'] },
      announce: { to: ['announce@tiny.invalid'], key: '${state}/keys/treeline.asc' },
    },
  };
  await writeFile(join(streams, 'tiny/stream.yaml'), stringify(declared));
  await writeFile(join(streams, 'tiny/treefile.yaml'), 'packages: []\n');
}

/** The rebuild itself is not made here: its results are. */
const rebuild = (mirrors: readonly string[]) => ({
  sources: [{ id: 'sources', baseurl: '${web}/sources', gpgKeys: ['/none'] }],
  rpmKey: '${state}/keys/treeline.asc',
  reimzul: {
    ...{ beanstalk: '127.0.0.1:1', target: 'tiny', disttag: '.tiny' },
    ...{ incoming: '/none', results: '${web}/results' },
  },
  mirrors,
  mirrorsNeeded: mirrors.length,
});

/** Makes builds as the steps before and after it leave them. */
export class TinyStore {
  readonly builds: TinyBuild[] = [];
  #runs = 0;
  private constructor(
    readonly s: Scratch,
    readonly host: Host,
    readonly people: People,
    readonly approvers: readonly Person[],
    /** Whose builds they are: the stream's, or of the line of its signed builds. */
    readonly line: string,
  ) {}

  /** With these builds published, oldest first. */
  static async make(builds: readonly string[], signed = false): Promise<TinyStore> {
    const s = await makeScratch('tiny-store');
    const port = String(await freePort());
    const settings = readSettings({
      TREELINE_STATE: s.at('state'),
      TREELINE_STREAMS: s.at('streams'),
      TREELINE_WEB_PORT: port,
    });
    await mkdir(s.at('state/www'), { recursive: true });
    const people = await People.make(s);
    const approvers = [await people.join('ann'), await people.join('bob')];
    await makeInstanceKey(s.step, settings.state);
    await declareTiny(settings.streams, { approvers, smtpPort: 1, signed });
    const host = { settings, store: new Store(settings.state) };
    const made = new TinyStore(s, host, people, approvers, signed ? signedTiny : 'tiny');
    const web = await serve({ root: s.at('state/www'), port: settings.webPort });
    try {
      for (const build of builds) await made.publish(await made.build(build));
    } finally {
      await web.close();
    }
    return made;
  }

  /** The state of another instance, to make more builds in. */
  at(state: string, streams: string, webPort: number): TinyStore {
    const settings = readSettings({
      TREELINE_STATE: state,
      TREELINE_STREAMS: streams,
      TREELINE_WEB_PORT: String(webPort),
    });
    const host = { settings, store: new Store(state) };
    const there = new TinyStore(this.s, host, this.people, this.approvers, this.line);
    there.builds.push(...this.builds);
    return there;
  }

  /** Commit, records, an image that is none, signatures: all before the publication. */
  async build(build: string): Promise<TinyBuild> {
    const { store } = this.host;
    const run = `run-${++this.#runs}-${build}`;
    const args = { stream: this.line, run };
    const [folder, repo] = [store.archDir(args, arch), store.repo(this.line)];
    if (!(await exists(repo))) {
      await mkdir(repo, { recursive: true });
      await this.s.step.run(['ostree', `--repo=${repo}`, 'init', '--mode=archive']);
    }
    const tree = this.s.at(`tree-${run}`);
    await mkdir(join(tree, 'usr/share/rpm'), { recursive: true });
    await this.s.step.run(['rpm', `--dbpath=${join(tree, 'usr/share/rpm')}`, '--initdb']);
    await writeFile(join(tree, 'usr/build'), build);
    for (let n = 0; n < 10; n++)
      await writeFile(join(tree, `usr/file-${n}`), `${n} of ${n < 5 ? 'all' : build}`);
    const parent = this.builds.at(-1)?.commit;
    const { stdout } = await this.s.step.run([
      ...(['ostree', `--repo=${repo}`, 'commit', '--orphan', '-s', build] as const),
      ...refs.map((ref) => `--bind-ref=${ref}`),
      `--add-metadata-string=version=${build}`,
      ...(parent === undefined ? [] : [`--parent=${parent}`]),
      `--tree=dir=${tree}`,
    ]);
    await rm(tree, { recursive: true });
    const commit = stdout.trim();
    const image = `tiny-${build}.qcow2`;
    await mkdir(join(folder, 'build'), { recursive: true });
    await writeFile(join(folder, 'build', image), `image of ${build}\n`.repeat(4096));
    const [timestamp, stream] = ['2026-11-23T00:00:00Z', await this.stream()];
    const records: Record<string, unknown> = {
      'commit.json': { commit, ...(parent ? { parent } : {}), timestamp, inputHash: 'ab'.repeat(32) },
      'pkgdiff.json': { packages: 0 },
      'lockfile.json': { metadata: { generated: timestamp, rpmmd_repos: {} }, packages: {} },
      'image-qcow2.json': {
        path: image,
        sha256: await sha256(join(folder, 'build', image)),
        size: `image of ${build}\n`.length * 4096,
      },
    };
    for (const [name, value] of Object.entries(records)) await writeJson(join(folder, name), value);
    await writeJson(join(store.runDir(args), 'stream.json'), stream);
    await writeJson(join(store.runDir(args), 'source.json'), {});
    if (this.line === signedTiny) await writeJson(join(folder, 'packages.json'), origins);
    await mkdir(store.idsDir(this.line), { recursive: true });
    await writeFile(join(store.idsDir(this.line), build), `${run}\n`);
    const sign = signActivities(this.host);
    await runActivity(sign.signCommit, { ...args, step: 'sign-commit', arch, commit });
    await runActivity(sign.signImages, { ...args, step: 'sign-images', arch, images: ['qcow2'] });
    const made = { build, run, commit };
    this.builds.push(made);
    return made;
  }

  readonly stream = (): Promise<Stream> => loadStream(this.host.settings, this.line);

  async publish(made: TinyBuild): Promise<void> {
    await this.stage(made);
    await this.push(made);
  }
  /** The publication's own steps: those before readers see anything, … */
  async stage(made: TinyBuild): Promise<void> {
    await runActivity(publishActivities(this.host).snapshot, this.#argsOf(made));
    await runActivity(signActivities(this.host).signSummary, this.#argsOf(made));
  }
  /** … and the others. May be done again. */
  async push(made: TinyBuild): Promise<void> {
    const [publish, args] = [publishActivities(this.host), this.#argsOf(made)];
    await runActivity(publish.pushRepo, args);
    await runActivity(publish.pushImages, args);
    await runActivity(publish.switchRefs, args);
    await runActivity(publish.metadata, { ...args, steps: [] });
    await runActivity(publish.compare, args);
  }

  readonly #argsOf = ({ build, run, commit }: TinyBuild): PublishArgs => ({
    ...{ stream: this.line, run, step: 'publish', build },
    commits: { [arch]: commit },
  });

  async remove(): Promise<void> {
    await execa('gpgconf', ['--homedir', this.people.home, '--kill', 'all']);
    await this.s.remove();
  }
}

/** As a signed rebuild leaves its `packages.json`. */
const origins: RebuildPackages = Object.fromEntries(
  (['rebuilt', 'accepted'] as const).map((origin) => [
    `tiny-${origin}`,
    { file: `${origin}.rpm`, evra: '1-1.noarch', digest: `sha256:${'0'.repeat(64)}`, origin },
  ]),
);

const shared = new Map<boolean, Promise<TinyStore>>();

/** One of each kind for all tests of this process: builds take a while. */
export function sharedStore(signed = false): Promise<TinyStore> {
  const found = shared.get(signed);
  if (found) return found;
  const builds = ['01', '02', '03', '04', '05', '06'].map((nn) => `20261123_${nn}`);
  const made = TinyStore.make(builds, signed).then((store) => {
    // An agent ends by itself when its home is gone.
    process.once('exit', () => rmSync(store.s.folder, { recursive: true, force: true }));
    return store;
  });
  shared.set(signed, made);
  return made;
}
