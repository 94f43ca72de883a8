/** The beanstalkd client: against a real server, and against servers that are none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { Beanstalk, jobBytes } from '../../src/reimzul/beanstalk.js';
import { fails, startBeanstalkd, type Server } from '../support/servers.js';
import { freePort } from '../support/ports.js';

const forever = new AbortController().signal;
const impatient = { connect: 500, answer: 300 };

describe('a beanstalkd', () => {
  let server: Server;
  const client = () => Beanstalk.connect(`127.0.0.1:${server.port}`, forever);
  before(async () => {
    server = await startBeanstalkd();
  });
  after(() => server.close());

  it('takes jobs, and gives them by priority', async () => {
    const queue = await client();
    await queue.use('one');
    await queue.put('usual', { priority: 8192 });
    const urgent = await queue.put(Buffer.from('urgent\r\nünd 0 bytes: \0'), { priority: 1024 });
    await queue.watch('one');
    assert.equal(await queue.ignore('default'), true);
    assert.equal(await queue.ignore('one'), false, 'the last tube stays watched');
    const first = await queue.reserve(0);
    assert.deepEqual(first, { id: urgent, body: Buffer.from('urgent\r\nünd 0 bytes: \0') });
    assert.equal((await queue.statsJob(urgent))?.state, 'reserved');
    assert.equal((await queue.reserve(0))?.body.toString(), 'usual');
    assert.equal(await queue.reserve(0), undefined);
    assert.equal(await queue.delete(urgent), true);
    assert.equal(await queue.delete(urgent), false);
    assert.equal(await queue.peek(urgent), undefined);
    assert.equal(await queue.statsJob(urgent), undefined);
    queue.close();
  });

  it('gives a job again whose reader went away', async () => {
    const [one, two] = [await client(), await client()];
    await one.use('again');
    const id = await one.put('x');
    for (const queue of [one, two]) await queue.watch('again');
    assert.equal((await one.reserve(0))?.id, id);
    assert.equal(await two.reserve(0), undefined);
    one.close();
    assert.equal((await two.reserve(5))?.id, id);
    assert.equal(await two.release(id, { delay: 60 }), true);
    assert.equal((await two.statsJob(id))?.state, 'delayed');
    two.close();
  });

  it('lists tubes, whatever their names look like', async () => {
    const queue = await client();
    for (const tube of ['1e3', 'true', '0x10']) {
      await queue.use(tube);
      await queue.put('x');
    }
    const tubes = await queue.listTubes();
    for (const tube of ['1e3', 'true', '0x10']) assert.ok(tubes.includes(tube), tubes.join(' '));
    assert.equal((await queue.statsTube('1e3'))?.['current-jobs-ready'], '1');
    assert.equal(await queue.statsTube('none'), undefined);
    queue.close();
  });

  it('answers commands that are called at once, each its own', async () => {
    const queue = await client();
    await queue.use('many');
    const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => queue.put(String(i))));
    const bodies = await Promise.all(ids.map((id) => queue.peek(id)));
    assert.deepEqual(
      bodies.map(String),
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
    queue.close();
  });

  it('is not sent what it does not take, or what is no name or id', async () => {
    const queue = await client();
    await assert.rejects(queue.put(Buffer.alloc(jobBytes + 1)), /a job of 65536 bytes/);
    await assert.rejects(queue.use('a b'), /not a name of a tube: "a b"/);
    await assert.rejects(queue.watch('-x'), /not a name of a tube/);
    await assert.rejects(queue.delete('1\r\nkick 1'), /not a job's id/);
    await queue.put(Buffer.alloc(jobBytes));
    queue.close();
  });

  it('that does not answer is away; a cancellation ends the wait', async () => {
    const port = await freePort();
    await assert.rejects(
      Beanstalk.connect(`127.0.0.1:${port}`, forever),
      fails('ReimzulAway', /^127\.0\.0\.1:\d+: connect ECONNREFUSED/),
    );
    const controller = new AbortController();
    const queue = await Beanstalk.connect(`127.0.0.1:${server.port}`, controller.signal);
    const waits = queue.reserve(60);
    controller.abort(new Error('cancelled here'));
    await assert.rejects(waits, /^Error: cancelled here$/);
    await assert.rejects(queue.put('x'), /^Error: cancelled here$/);
  });
});

describe('a server that is no good beanstalkd', () => {
  let server: NetServer;
  let answer: (socket: Socket) => void;
  const sockets = new Set<Socket>();
  before(async () => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).once('data', () => answer(socket));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const client = (waits?: typeof impatient) =>
    Beanstalk.connect(`127.0.0.1:${(server.address() as AddressInfo).port}`, forever, waits);
  const away = async (act: (socket: Socket) => void, message: RegExp, waits?: typeof impatient) => {
    answer = act;
    const queue = await client(waits);
    await assert.rejects(queue.peek('1'), fails('ReimzulAway', message));
    await assert.rejects(queue.peek('1'), fails('ReimzulAway', /./), 'it is of no more use');
  };

  it('is told from one', async () => {
    await away(
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /answers "HTTP\/1\.1 400 Bad Request"/,
    );
    await away((socket) => socket.write('x'.repeat(5000)), /is no beanstalkd: a line without an end/);
    await away((socket) => socket.write('FOUND 1 -5\r\n'), /is no beanstalkd: a length of -5/);
    await away((socket) => socket.write('FOUND 1 2\r\nabcd\r\n'), /data without an end/);
    await away((socket) => socket.write('OUT_OF_MEMORY\r\n'), /answers "OUT_OF_MEMORY" to `peek`/);
  });

  it('is away when it closes the connection or is silent', async () => {
    await away((socket) => socket.end(), /closed the connection/);
    await away((socket) => socket.end('FOUND 1 100\r\nabc'), /closed the connection/);
    await away(() => undefined, /no answer within 0\.3 s/, impatient);
  });

  it('may send its answers in pieces', async () => {
    answer = (socket) => {
      const pieces = ['FOU', 'ND 1 ', '4\r', '\na', '\r', '\nb', '\r', '\n'];
      const next = () => {
        const piece = pieces.shift();
        if (piece !== undefined) socket.write(piece, () => setTimeout(next, 5));
      };
      next();
    };
    const queue = await client();
    assert.equal(String(await queue.peek('1')), 'a\r\nb');
    queue.close();
  });

  it('does not fill the memory', async () => {
    const [size, chunk] = [40 * 2 ** 20, Buffer.alloc(2 ** 20, 'x')];
    answer = (socket) => {
      socket.write(`FOUND 1 ${size}\r\n`);
      for (let sent = 0; sent < size; sent += chunk.length) socket.write(chunk);
      socket.write('\r\nNOT_FOUND\r\n');
    };
    const queue = await client();
    assert.equal((await queue.peek('1'))?.length, 2 ** 20);
    assert.equal(await queue.peek('2'), undefined, 'what comes after it is read right');
    queue.close();
  });
});
