/** A tiny stream with real commits, a real key and a real web server: what the publication needs of the steps before it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../src/host.js';
import { publishActivities } from '../../src/activities/publish.js';
import type { PublishArgs } from '../../src/domain/inputs.js';
import { signActivities } from '../../src/activities/sign.js';
import { streamSchema, type Stream } from '../../src/domain/stream.js';
import { instanceKeyFile, makeInstanceKey } from '../../src/keys/gpg.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

export const ref = 'tiny/x86_64/standard';
const arch = 'x86_64';

export interface Build {
  readonly build: string;
  readonly run: string;
  readonly commit: string;
}

type Activities = ReturnType<typeof publishActivities> & ReturnType<typeof signActivities>;

export class Tiny {
  private constructor(
    readonly s: Scratch,
    readonly host: Host,
    readonly web: WebServer,
    readonly stream: Stream,
  ) {}
  #runs = 0;

  /** `front`: the readers' address, given that of the web server. `linked`: folders that the web server's links may lead to. */
  static async make({
    front = (url) => Promise.resolve(url),
    linked = () => [],
  }: {
    front?: (url: string) => Promise<string>;
    linked?: (s: Scratch) => string[];
  } = {}): Promise<Tiny> {
    const s = await makeScratch('tiny');
    const settings = readSettings({ TREELINE_STATE: s.folder, TREELINE_STREAMS: s.at('streams') });
    await mkdir(s.at('www'));
    for (const folder of linked(s)) await mkdir(folder);
    const web = await serve({ root: s.at('www'), linked: linked(s), port: 0 });
    await makeInstanceKey(s.step, s.folder);
    const stream = streamSchema.parse({
      name: 'tiny',
      title: 'Tiny',
      treefile: s.at('treefile.yaml'),
      ref: 'tiny/${arch}/standard',
      osname: 'tiny',
      releasever: '1',
      composer: 'dnf',
      repos: [{ id: 'base', baseurl: 'http://127.0.0.1/', gpgKeys: ['/none'] }],
      signingKey: instanceKeyFile(s.folder),
      publish: { buildlogs: { location: s.at('www/tiny'), url: `${await front(web.url)}/tiny` } },
      retention: { builds: 2, runs: 2 },
    });
    const tiny = new Tiny(s, { settings, store: new Store(s.folder) }, web, stream);
    await mkdir(tiny.host.store.streamDir('tiny'), { recursive: true });
    await s.step.run(['ostree', `--repo=${tiny.staging}`, 'init', '--mode=archive']);
    return tiny;
  }

  get staging() {
    return this.host.store.repo('tiny');
  }
  /** The target's folder. */
  readonly target = (...parts: string[]) => this.s.at('www/tiny', ...parts);

  /** What the steps before the publication leave: a frozen stream, a commit, its records and its signature. */
  async build(
    build: string,
    parent?: string,
    change: { version?: string; unsigned?: boolean } = {},
  ): Promise<Build> {
    const run = `run-${++this.#runs}`;
    const [args, folder] = [{ stream: 'tiny', run }, this.host.store.archDir({ stream: 'tiny', run }, arch)];
    const tree = `tree-${run}`;
    await this.s.write(`${tree}/usr/build`, build);
    for (let n = 0; n < 20; n++)
      await this.s.write(`${tree}/usr/file-${n}`, `${n} of ${n < 10 ? 'all' : build}`);
    const options = [
      '--orphan',
      `--bind-ref=${ref}`,
      `--add-metadata-string=version=${change.version ?? build}`,
      ...(parent ? [`--parent=${parent}`] : []),
    ];
    await mkdir(this.host.store.runDir(args), { recursive: true });
    const { stdout } = await this.s.step.run([
      'ostree',
      `--repo=${this.staging}`,
      'commit',
      '-s',
      build,
      ...options,
      `--tree=dir=${this.s.at(tree)}`,
    ]);
    const commit = stdout.trim();
    const records: Record<string, unknown> = {
      'commit.json': {
        commit,
        ...(parent ? { parent } : {}),
        timestamp: '2026-11-23T00:00:00Z',
        inputHash: 'ab'.repeat(32),
      },
      'pkgdiff.json': { packages: 0 },
      'lockfile.json': { metadata: { generated: '2026-11-23T00:00:00Z', rpmmd_repos: {} }, packages: {} },
    };
    for (const [name, value] of Object.entries(records)) await writeJson(join(folder, name), value);
    await writeJson(join(this.host.store.runDir(args), 'stream.json'), this.stream);
    await writeJson(join(this.host.store.runDir(args), 'source.json'), {});
    await this.s.write(`store/tiny/ids/${build}`, `${run}\n`);
    const made = { build, run, commit };
    if (!change.unsigned) await this.sign(made);
    return made;
  }

  readonly sign = ({ run, commit }: Build) =>
    runActivity(signActivities(this.host).signCommit, {
      stream: 'tiny',
      run,
      step: 'sign-commit',
      arch,
      commit,
    });

  /** Runs activities of a publication one after the other. */
  async do(made: Build, ...names: (keyof Activities)[]): Promise<unknown> {
    const activities: Activities = { ...publishActivities(this.host), ...signActivities(this.host) };
    const args: PublishArgs = {
      stream: 'tiny',
      run: made.run,
      step: 'publish',
      build: made.build,
      commits: { [arch]: made.commit },
    };
    let result: unknown;
    for (const name of names)
      result = await runActivity(activities[name] as (args: unknown) => Promise<unknown>, {
        ...args,
        steps: [],
      });
    return result;
  }
  /** All up to the switch, the switch, and all after it. */
  readonly before = (made: Build) => this.do(made, 'snapshot', 'signSummary', 'pushRepo', 'pushImages');
  readonly publish = async (made: Build) => {
    await this.before(made);
    await this.do(made, 'switchRefs', 'verify', 'metadata', 'compare');
  };

  /** A reader's repo that verifies commits and summary. */
  async reader(name: string): Promise<Reader> {
    const repo = this.s.at('readers', name);
    const { step } = this.s;
    await mkdir(repo, { recursive: true });
    await step.run(['ostree', `--repo=${repo}`, 'init', '--mode=archive']);
    const verify = [
      '--set=gpg-verify=true',
      '--set=gpg-verify-summary=true',
      `--gpg-import=${this.stream.signingKey}`,
    ];
    await step.run([
      'ostree',
      `--repo=${repo}`,
      'remote',
      'add',
      ...verify,
      'tiny',
      `${this.web.url}/tiny/repo`,
    ]);
    return {
      async pull() {
        const { exitCode, stderr } = await step.run(
          ['ostree', `--repo=${repo}`, 'pull', '--disable-fsync', 'tiny', ref],
          { okCodes: [0, 1] },
        );
        if (exitCode !== 0) return { error: stderr.trim() };
        const { stdout } = await step.run(['ostree', `--repo=${repo}`, 'rev-parse', `tiny:${ref}`]);
        return { commit: stdout.trim() };
      },
    };
  }

  async remove(): Promise<void> {
    await this.web.close();
    await this.s.remove();
  }
}

export interface Reader {
  pull(): Promise<{ commit: string; error?: never } | { error: string; commit?: never }>;
}
