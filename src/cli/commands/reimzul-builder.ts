/** `reimzul-builder`: rebuilds source packages, for those who have no reimzul. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { z } from 'zod';
import { Failure } from '../../domain/failures.js';
import { beanstalkAddress } from '../../domain/rebuild-settings.js';
import { duration, size } from '../../domain/units.js';
import { httpUrl } from '../../domain/names.js';
import { hostArchitecture } from '../../host.js';
import { startBeanstalkd } from '../../reimzul/builder/beanstalkd.js';
import { builderTools, runBuilder, watched } from '../../reimzul/builder/builder.js';
import { usualLimits } from '../../reimzul/builder/sandbox.js';
import { webUrl, type Settings } from '../../settings.js';
import { missingTools } from '../../steps/tools.js';
import { Store } from '../../store/store.js';
import { onInterrupt } from '../interrupt.js';
import { CliError } from '../output.js';

/** Folders and addresses of an instance that has a builder of its own; all but `work` is served. */
export const embeddedReimzul = (settings: Settings) => ({
  beanstalk: '127.0.0.1:11300',
  repo: join(new Store(settings.state).www(), 'reimzul', 'repo'),
  incomingFolder: join(new Store(settings.state).www(), 'reimzul', 'incoming'),
  incoming: `${webUrl(settings)}/reimzul/incoming`,
  work: join(settings.state, 'reimzul'),
});

/** An option's text by a schema. */
const by =
  <T>(schema: z.ZodType<T, string>) =>
  (text: string): T => {
    const { success, data, error } = schema.safeParse(text);
    if (!success) throw new InvalidArgumentError(error.issues.map(({ message }) => message).join('; '));
    return data;
  };

const count = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('write a number from 1 to 999999.');
  return Number(text);
};

interface Options {
  beanstalk: string;
  withBeanstalkd?: boolean;
  repo: string;
  incoming: string;
  arch: keyof typeof watched;
  createrepo: boolean;
  chain?: boolean;
  mockConfigs: string;
  time: number;
  memory: number;
  processes: number;
  fileSize: number;
}

export function addReimzulBuilder(program: Command, settings: Settings): void {
  const embedded = embeddedReimzul(settings);
  const machine = hostArchitecture();
  program
    .command('reimzul-builder')
    .description('rebuild source packages by the contract of reimzul, for those who have none, until Ctrl-C')
    .option('--beanstalk <host:port>', 'the queue', by(beanstalkAddress), embedded.beanstalk)
    .option('--with-beanstalkd', 'start a beanstalkd there, which keeps its jobs in the state folder')
    .option('--repo <folder>', 'folder of the results, one folder a target', embedded.repo)
    .option('--incoming <url>', 'address of the source RPMs', by(httpUrl), embedded.incoming)
    .addOption(
      new Option('--arch <arch>', 'architecture of this machine')
        .choices(Object.keys(watched))
        .default(machine),
    )
    .option('--no-createrepo', 'leave the tubes `createrepo` and `tosign` to others')
    .option('--chain', 'build x86_64 packages for i386 too, and kernels for noarch, as reimzul does')
    .option('--mock-configs <folder>', 'mock’s configurations, `<target>.cfg`, where mock is', '/etc/mock')
    .option('--time <duration>', 'longest time of one build', by(duration), usualLimits.seconds)
    .option('--memory <size>', 'most memory of each of its processes', by(size), usualLimits.memory)
    .option('--processes <number>', 'most processes of it at a time', count, usualLimits.processes)
    .option('--file-size <size>', 'size of the largest file that it may write', by(size), usualLimits.file)
    .action(async (options: Options) => {
      if (process.getuid?.() !== 0)
        throw new CliError('The builder needs root, to make sandboxes for its builds. Run it as root.');
      const missing = await missingTools(settings.path, builderTools);
      if (missing.length > 0)
        throw new Failure(
          'ToolMissing',
          `not installed: ${missing.map(({ command }) => command).join(', ')}. Run \`bin/setup\`.`,
        );
      const signal = onInterrupt();
      const say = (line: string) => console.log(`${new Date().toISOString()} ${line}`);
      const home = join(settings.state, 'home');
      for (const folder of [home, embedded.work, embedded.incomingFolder])
        await mkdir(folder, { recursive: true });
      const repo = resolve(options.repo);
      const server = options.withBeanstalkd
        ? await startBeanstalkd(settings.path, options.beanstalk, embedded.work)
        : undefined;
      // A builder without its own beanstalkd is of no use: it ends, and whoever looks after it starts it again.
      const failed = new AbortController();
      void server?.ended.catch((error: unknown) => failed.abort(error));
      const until = AbortSignal.any([signal, failed.signal]);
      try {
        await runBuilder({
          queue: { address: options.beanstalk, signal: until, say },
          signal: until,
          repo,
          toSign: join(dirname(repo), 'tosign'),
          incoming: options.incoming.replace(/\/+$/, ''),
          arch: options.arch,
          host: settings.host,
          createrepo: options.createrepo,
          chain: options.chain ?? false,
          work: join(embedded.work, 'work', `${process.pid}`),
          aside: join(repo, '.new', `${process.pid}`),
          mockConfigs: options.mockConfigs,
          limits: {
            seconds: options.time,
            memory: options.memory,
            processes: options.processes,
            file: options.fileSize,
          },
          path: settings.path,
          home,
        });
        failed.signal.throwIfAborted();
      } finally {
        await server?.close();
      }
    });
}
