/**
 * The few commands of beanstalkd's protocol that reimzul's queues need, over one TCP connection. Own code: the npm clients are
 * unmaintained or give neither cancellation nor bounds.
 */
import { connect, type Socket } from 'node:net';
import { parse } from 'yaml';
import { Failure } from '../domain/failures.js';

/** beanstalkd's own default limit of a job's body, in bytes. */
export const jobBytes = 65_535;
/** Most that is kept of any answer's data; what is longer is read to its end and cut, so that it can still be deleted. */
const keptBytes = 2 ** 20;
const lineBytes = 1024;

/** Milliseconds. */
export interface BeanstalkPatience {
  /** For DNS and connecting. */
  readonly connect: number;
  /** For each answer; `reserve` waits for so much longer than it asks for. */
  readonly answer: number;
}
const usualPatience: BeanstalkPatience = { connect: 10_000, answer: 30_000 };

export interface ReservedJob {
  /** Decimal; beanstalkd without its binlog starts again at 1 when it restarts. */
  readonly id: string;
  readonly body: Buffer;
}

export interface PutOptions {
  /** 0 is the most urgent. Default 2³¹, as clients of reimzul's internal tubes have it. */
  readonly priority?: number;
  /** Seconds until it can be reserved. */
  readonly delay?: number;
  /** Seconds that a reserver has until the job is ready again. */
  readonly timeToRun?: number;
}

interface Answer {
  readonly word: string;
  readonly args: readonly string[];
  readonly data: Buffer;
}
/** Answers that are followed by data, whose length is their last word. */
const withData = new Set(['OK', 'FOUND', 'RESERVED']);

/** As beanstalkd allows; also for argv and file names. */
const tubeName = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}$/;

/**
 * A connection. Commands may be called at any time; they go one after the other. Each fails with ReimzulAway when the server does
 * not answer, or is no beanstalkd, and the connection is then of no more use; once `signal` is aborted, with its reason.
 */
export class Beanstalk {
  #rest: Buffer = Buffer.alloc(0);
  #broken: Error | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;

  private constructor(
    readonly address: string,
    readonly signal: AbortSignal,
    readonly patience: BeanstalkPatience,
    socket: Socket,
  ) {
    this.#socket = socket;
    this.#chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    socket.on('error', (error) => (this.#broken ??= error));
    const onAbort = () => void socket.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
  }

  /** Connects to `host:port`. Fails with ReimzulAway. */
  static async connect(
    address: string,
    signal: AbortSignal,
    patience: BeanstalkPatience = usualPatience,
  ): Promise<Beanstalk> {
    signal.throwIfAborted();
    const [, host = '', port] = /^(.*):(\d+)$/.exec(address) ?? [];
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true });
    const limited = AbortSignal.any([signal, AbortSignal.timeout(patience.connect)]);
    try {
      await new Promise<void>((resolve, reject) => {
        const stop = () => reject(new Error(`no connection within ${patience.connect / 1000} s`));
        limited.addEventListener('abort', stop, { once: true });
        socket.once('error', reject).once('connect', () => {
          limited.removeEventListener('abort', stop);
          socket.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      socket.on('error', () => undefined).destroy();
      signal.throwIfAborted();
      throw away(address, error);
    }
    return new Beanstalk(address, signal, patience, socket);
  }

  /** Later `put`s go to this tube. */
  async use(tube: string): Promise<void> {
    await this.#ask(`use ${checkTube(tube)}`, 'USING');
  }

  /** Puts a job into the used tube and gives its id. The server may have taken a job whose `put` failed with ReimzulAway. */
  async put(body: string | Buffer, options: PutOptions = {}): Promise<string> {
    const { priority = 2 ** 31, delay = 0, timeToRun = 120 } = options;
    const bytes = Buffer.from(body);
    if (bytes.length > jobBytes)
      throw new Error(`a job of ${bytes.length} bytes: beanstalkd takes ${jobBytes}`);
    const { args } = await this.#ask(
      `put ${priority} ${delay} ${timeToRun} ${bytes.length}`,
      'INSERTED',
      bytes,
    );
    return args[0] ?? '';
  }

  /** `reserve` looks into this tube too. */
  async watch(tube: string): Promise<void> {
    await this.#ask(`watch ${checkTube(tube)}`, 'WATCHING');
  }

  /** `reserve` does not look into this tube any more; false for the last one, which stays watched. */
  async ignore(tube: string): Promise<boolean> {
    return (await this.#ask(`ignore ${checkTube(tube)}`, 'WATCHING', undefined, 'NOT_IGNORED')) !== undefined;
  }

  /** Takes the most urgent job of the watched tubes; undefined if there is none within so many seconds. */
  async reserve(seconds: number): Promise<ReservedJob | undefined> {
    const answer = await this.#ask(
      `reserve-with-timeout ${seconds}`,
      'RESERVED',
      undefined,
      /^(TIMED_OUT|DEADLINE_SOON)$/,
      seconds * 1000,
    );
    return answer && { id: answer.args[0] ?? '', body: answer.data };
  }

  /** Deletes a job that is reserved here, or ready, delayed or buried; false if there is none. */
  async delete(id: string): Promise<boolean> {
    return (await this.#ask(`delete ${checkId(id)}`, 'DELETED', undefined, 'NOT_FOUND')) !== undefined;
  }

  /** Puts a reserved job back; false if it is not reserved here any more. */
  async release(id: string, options: Omit<PutOptions, 'timeToRun'> = {}): Promise<boolean> {
    const { priority = 2 ** 31, delay = 0 } = options;
    const line = `release ${checkId(id)} ${priority} ${delay}`;
    return (await this.#ask(line, 'RELEASED', undefined, 'NOT_FOUND')) !== undefined;
  }

  /** The body of a job in whatever state; undefined if it is gone. */
  async peek(id: string): Promise<Buffer | undefined> {
    return (await this.#ask(`peek ${checkId(id)}`, 'FOUND', undefined, 'NOT_FOUND'))?.data;
  }

  /** What the server knows of a job (`tube`, `state`, `pri`, `age`, …), all as text; undefined if it is gone. */
  async statsJob(id: string): Promise<Readonly<Record<string, string>> | undefined> {
    return this.#stats(`stats-job ${checkId(id)}`);
  }

  /** What the server knows of a tube (`current-jobs-ready`, `current-watching`, …); undefined if nobody uses or watches it. */
  async statsTube(tube: string): Promise<Readonly<Record<string, string>> | undefined> {
    return this.#stats(`stats-tube ${checkTube(tube)}`);
  }

  async listTubes(): Promise<string[]> {
    const answer = await this.#ask('list-tubes', 'OK');
    const list = this.#yaml(answer.data);
    return Array.isArray(list) ? list.map(String) : [];
  }

  /** Says goodbye. What is still reserved here becomes ready again. Never fails. */
  close(): void {
    this.#broken ??= new Error('the connection was closed');
    if (this.#socket.writable) this.#socket.end('quit\r\n');
    this.#socket.destroySoon();
  }

  async #stats(line: string): Promise<Readonly<Record<string, string>> | undefined> {
    const answer = await this.#ask(line, 'OK', undefined, 'NOT_FOUND');
    if (answer === undefined) return undefined;
    const map = this.#yaml(answer.data);
    return typeof map === 'object' && map !== null ? (map as Record<string, string>) : {};
  }

  /** All scalars stay text: a tube may be named `1e3` or `true`. */
  #yaml(data: Buffer): unknown {
    try {
      return parse(data.toString('utf8'), { schema: 'failsafe' }) as unknown;
    } catch (error) {
      throw away(this.address, error);
    }
  }

  #ask(line: string, wanted: string, body?: Buffer): Promise<Answer>;
  #ask(
    line: string,
    wanted: string,
    body: Buffer | undefined,
    none: string | RegExp,
    longer?: number,
  ): Promise<Answer | undefined>;
  #ask(
    line: string,
    wanted: string,
    body?: Buffer,
    none?: string | RegExp,
    longer = 0,
  ): Promise<Answer | undefined> {
    const turn = this.#last.then(() => this.#talk(line, body, longer));
    this.#last = turn.catch(() => undefined);
    return turn.then(({ word, args, data }) => {
      if (word === wanted) return { word, args, data };
      if (none !== undefined && (none === word || (none instanceof RegExp && none.test(word))))
        return undefined;
      if (word === 'JOB_TOO_BIG')
        throw new Error(`${this.address}: a job of ${body?.length ?? 0} bytes is too large for it`);
      // DRAINING, OUT_OF_MEMORY, INTERNAL_ERROR, BURIED; or the answer of another kind of server.
      const said = JSON.stringify([word, ...args].join(' ').slice(0, 100));
      this.#socket.destroy();
      throw away(this.address, new Error(`answers ${said} to \`${line.split(' ')[0] ?? ''}\``));
    });
  }

  async #talk(line: string, body: Buffer | undefined, longer: number): Promise<Answer> {
    this.signal.throwIfAborted();
    const limit = this.patience.answer + longer;
    const timer = setTimeout(() => {
      this.#broken ??= new Error(`no answer within ${limit / 1000} s`);
      this.#socket.destroy();
    }, limit);
    try {
      if (this.#broken) throw this.#broken;
      // One write: the server sees command and body together.
      const end = Buffer.from('\r\n');
      this.#socket.write(
        body ? Buffer.concat([Buffer.from(line), end, body, end]) : Buffer.from(`${line}\r\n`),
      );
      const [word = '', ...args] = (await this.#line()).split(' ');
      return { word, args, data: withData.has(word) ? await this.#data(args.at(-1) ?? '') : Buffer.alloc(0) };
    } catch (error) {
      this.#socket.destroy();
      this.signal.throwIfAborted();
      this.#broken ??= error instanceof Error ? error : new Error(String(error));
      throw away(this.address, this.#broken);
    } finally {
      clearTimeout(timer);
    }
  }

  async #more(): Promise<Buffer> {
    const next = await this.#chunks.next();
    if (next.done === true) throw this.#broken ?? new Error('closed the connection');
    return next.value;
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 2);
        return line;
      }
      if (this.#rest.length > lineBytes) throw new Error('is no beanstalkd: a line without an end');
      this.#rest = Buffer.concat([this.#rest, await this.#more()]);
    }
  }

  /** So many bytes and the line end after them; what is past the limit is dropped. */
  async #data(length: string): Promise<Buffer> {
    if (!/^\d{1,10}$/.test(length)) throw new Error(`is no beanstalkd: a length of ${length.slice(0, 20)}`);
    const kept: Buffer[] = [];
    for (let [left, size] = [Number(length), 0]; left > 0;) {
      if (this.#rest.length === 0) this.#rest = await this.#more();
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      if (size < keptBytes) kept.push(part.subarray(0, keptBytes - size));
      size += part.length;
    }
    while (this.#rest.length < 2) this.#rest = Buffer.concat([this.#rest, await this.#more()]);
    if (this.#rest.toString('latin1', 0, 2) !== '\r\n')
      throw new Error('is no beanstalkd: data without an end');
    this.#rest = this.#rest.subarray(2);
    return Buffer.concat(kept);
  }
}

function away(address: string, error: unknown): Failure {
  // Several addresses of one name: an AggregateError without a text of its own.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const why = first instanceof Error ? first.message : String(first);
  return new Failure('ReimzulAway', `${address}: ${why.replace(/\.?$/, '')}`);
}

function checkTube(tube: string): string {
  if (!tubeName.test(tube)) throw new Error(`not a name of a tube: ${JSON.stringify(tube.slice(0, 100))}`);
  return tube;
}

function checkId(id: string): string {
  if (!/^\d{1,20}$/.test(id)) throw new Error(`not a job's id: ${JSON.stringify(id.slice(0, 40))}`);
  return id;
}
