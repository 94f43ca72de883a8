/**
 * QEMU's machine protocol (QMP): one connection for a machine's life. Treeline listens and QEMU connects as it starts, so no event
 * of the machine is missed.
 */
import { once } from 'node:events';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** The socket, relative to QEMU's working directory: a socket's address has room for 107 bytes only. */
export const socketName = 'qemu.sock';

export interface QmpEvent {
  /** Such as `STOP`, `SHUTDOWN`, `GUEST_PANICKED`. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const message = z.object({
  event: z.string().optional(),
  data: z.record(z.string(), z.unknown()).default({}),
  id: z.int().optional(),
  return: z.unknown().optional(),
});

export class Qmp {
  readonly #server = createServer((socket) => this.#connected(socket));
  readonly #answers: ((answer: unknown) => void)[] = [];
  /** What is to be sent once QEMU has connected. */
  readonly #waiting: string[] = ['{"execute":"qmp_capabilities"}\n'];
  #socket: Socket | undefined;
  #closed: Promise<void> = Promise.resolve();
  #over = false;

  private constructor(
    readonly folder: FileHandle,
    readonly onEvent: (event: QmpEvent) => void,
  ) {}

  /** Listens in this folder. QEMU is started afterwards, with the folder as its working directory. */
  static async listen(folder: string, onEvent: (event: QmpEvent) => void): Promise<Qmp> {
    await rm(join(folder, socketName), { force: true });
    const qmp = new Qmp(await open(folder), onEvent);
    // The short name for a folder whose path may be too long. It is used again, to remove the socket, when the server closes.
    qmp.#server.listen(`/proc/self/fd/${qmp.folder.fd}/${socketName}`);
    await once(qmp.#server, 'listening');
    return qmp;
  }

  /** Sends a command as soon as QEMU is there. Answers what QEMU returned: undefined for an error, and when QEMU is over. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#over) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const id = this.#answers.push(resolve) - 1;
      const line = `${JSON.stringify({ execute: command, arguments: args, id })}\n`;
      if (this.#socket) this.#socket.write(line);
      else this.#waiting.push(line);
    });
  }

  /** To be called when QEMU has ended; returns when all that it sent has been read. */
  async close(): Promise<void> {
    this.#over = true;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await this.#closed;
    for (const answer of this.#answers) answer(undefined);
    await closed;
    await this.folder.close();
  }

  #connected(socket: Socket): void {
    if (this.#socket) return void socket.destroy();
    this.#socket = socket;
    this.#closed = new Promise((resolve) => socket.on('close', () => resolve()));
    // After an error comes `close`. The reader of lines tells of the error too.
    socket.on('error', () => undefined);
    createInterface({ input: socket })
      .on('line', (line) => this.#read(line))
      .on('error', () => undefined);
    for (const line of this.#waiting) socket.write(line);
  }

  #read(line: string): void {
    const parsed = message.safeParse(json(line));
    // The last line of a QEMU that was killed may be cut.
    if (!parsed.success) return;
    const { event, data, id, return: answer } = parsed.data;
    if (event !== undefined) this.onEvent({ name: event, data });
    if (id !== undefined) this.#answers[id]?.(answer);
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
