/** The build system of a test instance: the local builder with a beanstalkd of its own, a process that the test can stop and kill. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Beanstalk } from '../../src/reimzul/beanstalk.js';
import { packageRoot } from '../../src/settings.js';
import type { TestInstance } from './instance.js';
import { until } from './ports.js';

export class LocalReimzul {
  #builder: ChildProcess | undefined;
  #output = '';

  private constructor(
    readonly instance: TestInstance,
    readonly address: string,
  ) {}

  /** `address`: `host:port` of its beanstalkd. */
  static async start(instance: TestInstance, address: string): Promise<LocalReimzul> {
    const reimzul = new LocalReimzul(instance, address);
    await reimzul.start();
    return reimzul;
  }

  async start(): Promise<void> {
    const argv = [join(packageRoot, 'bin/treeline'), 'reimzul-builder', '--with-beanstalkd'];
    const builder = spawn(process.execPath, [...argv, '--beanstalk', this.address], {
      env: { ...process.env, ...this.instance.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#builder = builder;
    let said = '';
    for (const stream of [builder.stdout, builder.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        this.#output += chunk.toString();
      });
    await until('the builder serves', 30, () => {
      if (builder.exitCode !== null) throw new Error(`the builder ended: ${said}`);
      return said.includes('serving ');
    });
  }

  /** What all of its builders have said. */
  get output(): string {
    return this.#output;
  }

  /** It takes no more jobs, until it is killed. */
  pause(): void {
    this.#builder?.kill('SIGSTOP');
  }

  /** Are there jobs of this tube that are not done? */
  async hasJobs(tube: string): Promise<boolean> {
    const queue = await Beanstalk.connect(this.address, AbortSignal.timeout(10_000));
    try {
      const stats = await queue.statsTube(tube);
      const count = (name: string) => Number(stats?.[name] ?? 0);
      return count('current-jobs-urgent') + count('current-jobs-ready') + count('current-jobs-reserved') > 0;
    } finally {
      queue.close();
    }
  }

  /** SIGKILL of the builder, and with it of its beanstalkd. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async close(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const builder = this.#builder;
    this.#builder = undefined;
    if (!builder || builder.exitCode !== null || builder.signalCode !== null) return;
    const gone = once(builder, 'exit');
    builder.kill(signal);
    // A stopped one takes SIGTERM only when it goes on.
    if (signal !== 'SIGKILL') builder.kill('SIGCONT');
    await gone;
  }
}
