/**
 * A reimzul for tests: a real beanstalkd, a web server of the results, reimzul's createrepo worker with its lock, and builders whose
 * behaviour a test writes down. Only the compilation is missing: their packages were built before.
 */
import { execa } from 'execa';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Beanstalk } from '../../src/reimzul/beanstalk.js';
import { exists } from '../../src/store/store.js';
import { startBeanstalkd, type Server } from '../support/servers.js';

export type Job = Record<string, unknown> & { srpm: string; arch: string; target: string };

/** What a builder can do with a job that it has taken. */
export interface Hands {
  readonly job: Job;
  /** Which job of this reimzul it is; the first is 1. */
  readonly number: number;
  /** Puts the news as reimzul does, with changes if any. */
  news(status: string, change?: Record<string, unknown>): Promise<void>;
  /** Puts RPMs, all or some of a folder, where results go: those of the job's arch or of a chained build. */
  results(rpms: string, only?: RegExp, arch?: string): Promise<string>;
  /** Asks for the repo to be made again. */
  createrepo(): Promise<void>;
  put(tube: string, body: string | Buffer): Promise<void>;
}
export type Behaviour = (hands: Hands) => Promise<void>;

export class Reimzul {
  /** What the builders took. */
  readonly jobs: Job[] = [];
  /** Answers other than the file, by the end of the path. */
  readonly answers = new Map<string, number | Buffer>();
  /** Requests for repos: how many came, and how many of the next are dropped. */
  readonly requests = { seen: 0, drop: 0 };
  behaviour: Behaviour = () => Promise.resolve();
  #loops: Promise<void>[] = [];
  #stop = new AbortController();

  private constructor(
    readonly folder: string,
    public queue: Server,
    readonly binlog: string | undefined,
    readonly web: ReturnType<typeof createServer>,
  ) {}

  static async start(folder: string, { binlog = false } = {}): Promise<Reimzul> {
    const log = binlog ? join(folder, 'binlog') : undefined;
    for (const dir of [join(folder, 'repo'), ...(log === undefined ? [] : [log])])
      await mkdir(dir, { recursive: true });
    const answers: { map?: Map<string, number | Buffer> } = {};
    const web = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? '/');
      const [, other] = [...(answers.map ?? [])].find(([end]) => path.endsWith(end)) ?? [];
      if (typeof other === 'number') return void response.writeHead(other).end();
      if (other !== undefined) return void response.end(other);
      readFile(join(folder, path)).then(
        (data) => response.end(data),
        () => response.writeHead(404).end(),
      );
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const made = new Reimzul(folder, await startBeanstalkd(log), log, web);
    answers.map = made.answers;
    made.work();
    return made;
  }

  get address(): string {
    return `127.0.0.1:${this.queue.port}`;
  }
  get url(): string {
    return `http://127.0.0.1:${(this.web.address() as AddressInfo).port}/repo`;
  }

  /** Starts the builder and the createrepo worker. */
  work(): void {
    this.#stop = new AbortController();
    this.#loops = [this.#loop('x86_64', this.#build), this.#loop('createrepo', this.#createrepo)];
  }

  /** Stops builder and createrepo worker. */
  async rest(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await Promise.all(this.#loops);
  }

  /** Kills beanstalkd and starts it again. */
  async restart(): Promise<void> {
    const { port } = this.queue;
    await this.queue.close('SIGKILL');
    this.queue = await startBeanstalkd(this.binlog, port);
  }

  async close(): Promise<void> {
    await this.rest();
    this.web.closeAllConnections();
    this.web.close();
    await this.queue.close();
  }

  async client(): Promise<Beanstalk> {
    return Beanstalk.connect(this.address, new AbortController().signal);
  }

  async #loop(tube: string, work: (body: Buffer) => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const queue = await Beanstalk.connect(this.address, signal);
        await queue.watch(tube);
        for (;;) {
          const job = await queue.reserve(60);
          if (job === undefined) continue;
          // At most once, as reimzul does it.
          await queue.delete(job.id);
          await work(job.body);
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  readonly #build = async (body: Buffer): Promise<void> => {
    const job = JSON.parse(body.toString()) as Job;
    const number = this.jobs.push(job);
    const [, pkgname = '', evr = ''] = /^(.+)-([^-]+-[^-]+)\.src\.rpm$/.exec(job.srpm) ?? [];
    const timestamp = String(20261125000000 + number);
    const added = { builder_fqdn: 'b1.example.org', evr, pkgname, timestamp };
    const put = async (tube: string, text: string | Buffer) => {
      const queue = await this.client();
      await queue.use(tube);
      await queue.put(text);
      queue.close();
    };
    await this.behaviour({
      job,
      number,
      put,
      news: (status, change) => put('notify', JSON.stringify({ ...job, ...added, status, ...change })),
      results: async (rpms, only, arch = job.arch) => {
        const to = join(this.folder, 'repo', job.target, pkgname, timestamp, `${evr}.${arch}`);
        await mkdir(to, { recursive: true });
        for (const name of await readdir(rpms))
          if (only === undefined || only.test(name)) await cp(join(rpms, name), join(to, name));
        await writeFile(join(to, 'build.log'), 'built\n');
        return to;
      },
      createrepo: () => put('createrepo', JSON.stringify({ ...job, ...added, status: 'Success' })),
    });
  };

  readonly #createrepo = async (body: Buffer): Promise<void> => {
    this.requests.seen++;
    const { target } = JSON.parse(body.toString()) as Job;
    const folder = join(this.folder, 'repo', target);
    const lock = join(folder, '.repolock');
    if (this.requests.drop-- > 0 || (await exists(lock))) return;
    await mkdir(folder, { recursive: true });
    await writeFile(lock, '');
    await execa('createrepo_c', ['-q', '-d', '--update', folder]);
    await rm(lock);
  };
}
