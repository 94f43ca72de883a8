/** Long-running commands: `up`, `worker`, `serve`. */
import { InvalidArgumentError, type Command } from 'commander';
import { once } from 'node:events';
import { roles, type Role } from '../../activities/index.js';
import { startInstance } from '../../instance.js';
import { keep } from '../../keep.js';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { serveInstance } from '../../web/serve.js';
import { installRuntime, queuesOf, startWorkers } from '../../worker.js';
import { onInterrupt } from '../interrupt.js';

/** Parses `--roles compose,images`. */
export function parseRoles(text: string): Role[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names)
    if (!(roles as string[]).includes(name))
      throw new InvalidArgumentError(`no role ${name}; there are: ${roles.join(', ')}`);
  return names as Role[];
}

const interrupted = async (signal: AbortSignal) => {
  if (!signal.aborted) await once(signal, 'abort');
};

export function addServers(program: Command, settings: Settings): void {
  program
    .command('up')
    .description('run Temporal server (SQLite file), worker and web pages on this machine until Ctrl-C')
    .action(async () => {
      const signal = onInterrupt();
      const instance = await startInstance(settings, (line) => console.log(line));
      console.log('Ctrl-C stops it; running builds go on where they were at the next start.');
      try {
        await Promise.race([interrupted(signal), instance.failed]);
      } finally {
        await instance.close();
      }
    });

  program
    .command('worker')
    .description('run a worker for a Temporal server that runs elsewhere (TEMPORAL_ADDRESS)')
    .option('--roles <roles>', `comma-separated: ${roles.join(', ')}`, parseRoles, roles)
    .action(async ({ roles: of }: { roles: Role[] }) => {
      const signal = onInterrupt();
      installRuntime(settings, 2);
      const workers = await keep(
        'worker',
        () => startWorkers(settings, of),
        (line) => console.error(line),
      );
      console.log(`serving ${of.flatMap((role) => queuesOf(role, settings)).join(', ')}`);
      try {
        await Promise.race([interrupted(signal), workers.failed]);
      } finally {
        await workers.close();
      }
    });

  program
    .command('serve')
    .description('serve the build pages, repos and images on loopback')
    .action(async () => {
      const signal = onInterrupt();
      const server = await serveInstance(settings);
      console.log(`serving ${new Store(settings.state).www()} at ${server.url}`);
      await interrupted(signal);
      await server.close();
    });
}
