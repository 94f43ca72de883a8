/** One process at a time has an instance's state folder. */
import { once } from 'node:events';
import { mkdir, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { InstanceError } from './keep.js';

/** Another live process has the state folder. */
export class StateHeld extends InstanceError {
  override readonly name = 'StateHeld';
  constructor(
    state: string,
    /** What the holder says of itself. */
    readonly holder: string,
  ) {
    super(`${state}: in use by ${holder}. End that one first, or set TREELINE_STATE to another folder.`);
  }
}

/** A folder by its place on the disk, whatever path leads to it. The kernel frees the name with the process, however that ends. */
async function nameOf(state: string): Promise<string> {
  const { dev, ino } = await stat(state);
  return `\0treeline/${dev}/${ino}`;
}

/**
 * Takes the state folder until the process ends or lets it go. Throws `StateHeld`, which names the holder, where another one has it.
 */
export async function holdState(state: string): Promise<() => Promise<void>> {
  await mkdir(state, { recursive: true });
  const name = await nameOf(state);
  const since = new Date().toISOString().slice(0, 19).replace('T', ' ');
  const command = process.argv.slice(2, 4).join(' ');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(`process ${process.pid} (\`treeline ${command}\`), since ${since} UTC`);
  });
  server.listen(name);
  await once(server, 'listening').catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new StateHeld(state, await holder(name));
  });
  server.unref();
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

/** What the holder says of itself. */
async function holder(name: string): Promise<string> {
  const socket = connect({ path: name, timeout: 2000 });
  socket.on('timeout', () => socket.destroy());
  return (await text(socket).catch(() => '')) || 'another process';
}
