/** A real builder with its own beanstalkd and web server, in a state folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot, readSettings } from '../../src/settings.js';
import { Beanstalk } from '../../src/reimzul/beanstalk.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { freePort, until } from '../support/ports.js';

/** What `bin/setup` made. */
export const sample = join(readSettings({}).state, 'sample');

export type News = Readonly<Record<string, unknown>>;

export class LocalBuilder {
  readonly #children: ChildProcess[] = [];
  #output = '';
  private constructor(
    readonly scratch: Scratch,
    readonly web: WebServer,
    readonly port: number,
    readonly env: Readonly<Record<string, string>>,
  ) {}

  /** `env` is added to the builder's environment. */
  static async create(env: Readonly<Record<string, string>> = {}): Promise<LocalBuilder> {
    const scratch = await makeScratch('builder');
    const root = scratch.at('state', 'www');
    await mkdir(join(root, 'reimzul', 'incoming'), { recursive: true });
    return new LocalBuilder(scratch, await serve({ root, port: 0 }), await freePort(), env);
  }

  readonly repo = (...parts: string[]) => this.scratch.at('state/www/reimzul/repo', ...parts);
  readonly incoming = (...parts: string[]) => this.scratch.at('state/www/reimzul/incoming', ...parts);
  /** What all builders have said. */
  get output(): string {
    return this.#output;
  }

  /** Starts a builder and waits until it serves. */
  async start(...args: string[]): Promise<ChildProcess> {
    const child = spawn(
      process.execPath,
      [
        ...[join(packageRoot, 'bin/treeline'), 'reimzul-builder', '--beanstalk', `127.0.0.1:${this.port}`],
        ...args,
      ],
      {
        env: {
          ...process.env,
          TREELINE_STATE: this.scratch.at('state'),
          TREELINE_WEB_PORT: new URL(this.web.url).port,
          ...this.env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#children.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        this.#output += chunk.toString();
      });
    await until('the builder serves', 30, () => {
      if (child.exitCode !== null) throw new Error(`the builder ended: ${said}`);
      return said.includes('serving ');
    });
    return child;
  }

  /** A source package whose %build is a script of the test's, in the incoming folder. Answers its file name. */
  async source(name: string, script: string): Promise<string> {
    const { scratch } = this;
    const spec = await scratch.write(
      `specs/${name}.spec`,
      [
        ...[`Name: ${name}`, 'Version: 1', 'Release: 1%{?dist}', 'Summary: a test', 'License: none'],
        ...['BuildArch: noarch', '%description', 'a test', '%build', 'set +x', script],
        ...['%install', 'install -d %{buildroot}/usr/share', `echo here > %{buildroot}/usr/share/${name}`],
        ...['%files', `/usr/share/${name}`, ''],
      ].join('\n'),
    );
    const defines = ['_topdir', '_dbpath'].flatMap((macro) => ['--define', `${macro} ${scratch.at('rpm')}`]);
    await scratch.step.run([
      'rpmbuild',
      '-bs',
      ...defines,
      '--define',
      `_srcrpmdir ${this.incoming()}`,
      spec,
    ]);
    return `${name}-1-1.src.rpm`;
  }

  /** Puts one of the sample's source packages into the incoming folder. */
  async sampleSource(name: string): Promise<string> {
    const file = (await readdir(join(sample, 'srpms'))).find((one) => one.startsWith(`${name}-`));
    if (file === undefined) throw new Error(`the sample has no source package ${name}`);
    await copyFile(join(sample, 'srpms', file), this.incoming(file));
    return file;
  }

  async with<T>(body: (to: Beanstalk) => Promise<T>): Promise<T> {
    const to = await Beanstalk.connect(`127.0.0.1:${this.port}`, AbortSignal.timeout(120_000));
    return body(to).finally(() => to.close());
  }

  readonly put = (tube: string, job: object | string) =>
    this.with(async (to) => {
      await to.use(tube);
      return to.put(typeof job === 'string' ? job : JSON.stringify(job));
    });

  /** Submits a job and gives all news until it has ended. */
  async build(srpm: string, arch = 'noarch', more: object = {}): Promise<News[]> {
    const target = `tl1.${arch}`;
    await this.put(arch, { srpm, arch, target, disttag: '.tl1', scratch: false, submitter: 'test', ...more });
    const news: News[] = [];
    await this.with(async (to) => {
      await to.watch('notify');
      while (!news.some(({ status }) => status === 'Success' || status === 'Failed')) {
        const job = await to.reserve(60);
        if (job === undefined) throw new Error(`no news within 60 s; the builder says: ${this.output}`);
        await to.delete(job.id);
        news.push(JSON.parse(job.body.toString()) as News);
      }
    });
    return news;
  }

  /** The folder of the results that the news tell of. */
  readonly results = ({ target, pkgname, timestamp, evr, arch }: News) =>
    this.repo(String(target), String(pkgname), String(timestamp), `${String(evr)}.${String(arch)}`);

  async says(text: string): Promise<void> {
    await until(`the builder says ${text}`, 30, () => this.output.includes(text));
  }

  async close(): Promise<void> {
    for (const child of this.#children.reverse())
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
    await this.web.close();
    await this.scratch.remove();
  }
}

/** Processes whose command line has a text in it. */
export async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.replaceAll('\0', ' ').includes(text)) found.push(pid);
  }
  return found;
}
