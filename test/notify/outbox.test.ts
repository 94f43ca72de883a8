/** Each mail once: with a real SMTP server, and real processes that are killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Host } from '../../src/host.js';
import { Failure } from '../../src/domain/failures.js';
import { patience, type MailSettings } from '../../src/notify/mail-server.js';
import { deliver, readOutbox, resolveDoubt, type DeliverOptions } from '../../src/notify/outbox.js';
import { readSettings } from '../../src/settings.js';
import { Store } from '../../src/store/store.js';
import { makeScratch, until, type Scratch } from '../steps/scratch.js';
import { freePort } from '../support/ports.js';
import { fails } from '../support/servers.js';
import {
  makeCertificate,
  startSmtp,
  type Certificate,
  type Smtp,
  type SmtpOptions,
} from '../support/smtp.js';
import { news } from './news.js';

const program = fileURLToPath(new URL('./deliver.js', import.meta.url));
const password = 'korrekt-Pferd';
const key = 'release-1';

describe('the outbox', function () {
  let certificate: Certificate;
  let common: Scratch;
  let s: Scratch;
  let host: Host;
  const servers: Smtp[] = [];
  before(async () => {
    common = await makeScratch('outbox-common');
    certificate = await makeCertificate(common, 'smtp');
  });
  after(() => common.remove());
  beforeEach(async () => {
    s = await makeScratch('outbox');
    host = { settings: readSettings({ TREELINE_STATE: s.folder }), store: new Store(s.folder) };
    await s.write('password', password);
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await s.remove();
  });

  async function start(options: SmtpOptions = {}): Promise<Smtp> {
    const server = await startSmtp({ certificate, auth: { user: 'sig', password }, ...options });
    servers.push(server);
    return server;
  }
  const settings = (port: number): MailSettings => ({
    server: `smtp://127.0.0.1:${port}`,
    startTls: 'required',
    caFile: certificate.certificate,
    user: 'sig',
    passwordFile: s.at('password'),
    from: 'SIG <sig@example.org>',
  });
  const send = (port: number, change: Partial<DeliverOptions> = {}, make = news) =>
    deliver(s.step, host, 's', key, make, { mail: settings(port), inDoubt: 'hold', ...change });
  const record = () => readOutbox(host, 's', key);
  const ids = (smtp: Smtp) => smtp.mailbox.map((mail) => mail.parsed.messageId);

  /** Delivers in a process of its own, and kills that at a moment. */
  async function killed(port: number, moment: () => boolean): Promise<void> {
    const child = spawn(process.execPath, [program, s.folder, JSON.stringify(settings(port))], {
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    await until('the moment to kill', () => {
      assert.equal(child.exitCode, null, 'ended by itself');
      return moment() || undefined;
    });
    child.kill('SIGKILL');
    await ended;
  }
  /** As Temporal does: tries again while something is only busy. */
  async function tried<T>(work: () => Promise<T>): Promise<T> {
    for (;;)
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Failure && error.code === 'Busy')) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
  }

  it('sends a mail once, and says so the next time', async () => {
    const smtp = await start();
    const { messageId } = await send(smtp.port).then((first) => {
      assert.equal(first.sent, 'now');
      return first;
    });
    assert.match(messageId, /^<release\.s\.1\.[0-9a-f]{16}@example\.org>$/);
    assert.deepEqual(await send(smtp.port, {}, () => assert.fail('is not made again')), {
      messageId,
      sent: 'before',
    });
    assert.deepEqual(ids(smtp), [messageId]);
    const done = await record();
    assert.equal(done?.state, 'sent');
    assert.match(done.response ?? '', /^250 .*4711/);
    assert.equal(done.raw.replaceAll(/\r?\n/g, '\r\n'), smtp.mailbox[0]?.raw.toString());
    assert.match(
      await s.log(),
      /to list@example\.org, sig@example\.org by smtp:[^]*taken: 250[^]*was sent already/,
    );
  });

  it('waits for a server that is away, then sends once', async () => {
    const port = await freePort();
    for (let time = 0; time < 2; time++)
      await assert.rejects(send(port), fails('MailServerAway', /ECONNREFUSED/));
    const prepared = await record();
    assert.equal(prepared?.state, 'prepared');
    const smtp = await start({ port });
    const { messageId } = await send(port);
    assert.deepEqual([...ids(smtp), messageId], [prepared.messageId, prepared.messageId]);
    assert.equal(smtp.mailbox[0]?.parsed.date?.toISOString().slice(0, 19), prepared.date.slice(0, 19));
  });

  it('sends a mended mail where nothing has gone out', async () => {
    const smtp = await start();
    smtp.recipients.set('sig@example.org', { code: 550 });
    await assert.rejects(send(smtp.port), fails('MailRefused', /sig@example\.org: 550/));
    const before = await record();
    const mended = async () => ({ ...(await news()), to: ['list@example.org'] });
    await send(smtp.port, {}, mended);
    assert.deepEqual(
      smtp.mailbox.map((mail) => [mail.to, mail.parsed.messageId]),
      [[['list@example.org'], before?.messageId]],
    );
  });

  it('takes a refusal of the content for an answer', async () => {
    const smtp = await start();
    smtp.content = { code: 554, text: 'spam' };
    await assert.rejects(send(smtp.port), fails('MailRefused', /554 .*spam/));
    smtp.content = { code: 451, text: 'later' };
    await assert.rejects(send(smtp.port), fails('MailServerAway', /451 .*later/));
    assert.deepEqual([(await record())?.state, (await record())?.doubts], ['prepared', []]);
    smtp.content = undefined;
    assert.equal((await send(smtp.port)).sent, 'now');
  });

  for (const [inDoubt, mishap] of [
    ['hold', 'drop'],
    ['again', 'drop'],
    ['hold', 'silence'],
    ['again', 'silence'],
  ] as const)
    it(`without an answer to the content (${mishap}) is in doubt: ${inDoubt}`, async () => {
      const smtp = await start();
      smtp.content = mishap;
      const wait = { ...patience, answer: 500 };
      const expected = inDoubt === 'hold' ? 'MailInDoubt' : 'MailServerAway';
      await assert.rejects(
        send(smtp.port, { inDoubt, wait }),
        fails(expected, /<release\.s\.1\..*@example\.org>/),
      );
      assert.equal((await record())?.state, 'sending');
      smtp.content = undefined;
      if (inDoubt === 'hold') {
        await assert.rejects(send(smtp.port), fails('MailInDoubt', /not known whether the server took it/));
        assert.equal(smtp.mailbox.length, 1);
      } else {
        await send(smtp.port, { inDoubt });
        assert.deepEqual(smtp.mailbox[0]?.raw, smtp.mailbox[1]?.raw);
        assert.equal(smtp.mailbox.length, 2);
      }
    });

  it('of a process killed between content and record: hold, then a person says that it was sent', async () => {
    const smtp = await start();
    smtp.content = 'silence';
    await killed(smtp.port, () => smtp.mailbox.length > 0);
    smtp.content = undefined;
    for (let time = 0; time < 2; time++)
      await assert.rejects(
        tried(() => send(smtp.port)),
        fails('MailInDoubt', /^<release\.s\.1\.[0-9a-f]{16}@example\.org>: went out at 20/),
      );
    assert.equal(smtp.mailbox.length, 1);
    await resolveDoubt(s.step, host, 's', key, 'sent');
    assert.equal((await send(smtp.port)).sent, 'before');
    assert.equal(smtp.mailbox.length, 1);
  });

  it('of a process killed between content and record: a person says again', async () => {
    const smtp = await start();
    smtp.content = 'silence';
    await killed(smtp.port, () => smtp.mailbox.length > 0);
    smtp.content = undefined;
    for (let time = 0; time < 2; time++) await tried(() => resolveDoubt(s.step, host, 's', key, 'again'));
    await send(smtp.port, {}, () => assert.fail('its bytes are fixed'));
    await resolveDoubt(s.step, host, 's', key, 'again');
    assert.equal((await send(smtp.port)).sent, 'before');
    assert.equal(smtp.mailbox.length, 2);
    assert.deepEqual(smtp.mailbox[0]?.raw, smtp.mailbox[1]?.raw);
    assert.equal((await record())?.doubts.length, 1);
  });

  it('of a process killed between content and record: again, under the same Message-ID', async () => {
    const smtp = await start();
    smtp.content = 'silence';
    await killed(smtp.port, () => smtp.mailbox.length > 0);
    smtp.content = undefined;
    const { messageId } = await tried(() => send(smtp.port, { inDoubt: 'again' }));
    assert.deepEqual(ids(smtp), [messageId, messageId]);
    assert.deepEqual(smtp.mailbox[0]?.raw, smtp.mailbox[1]?.raw);
  });

  it('of a process killed before the content is sent exactly once', async () => {
    const smtp = await start();
    smtp.recipients.set('sig@example.org', 'silence');
    await killed(smtp.port, () => smtp.seen.includes('RCPT sig@example.org'));
    smtp.recipients.clear();
    assert.equal((await record())?.state, 'prepared');
    assert.equal((await tried(() => send(smtp.port))).sent, 'now');
    assert.equal(smtp.mailbox.length, 1);
  });

  it('sends one mail for two deliveries at once', async () => {
    const smtp = await start();
    smtp.recipients.set('sig@example.org', 'silence');
    const wait = { ...patience, answer: 1000 };
    const first = send(smtp.port, { wait });
    await until('the envelope', () => smtp.seen.includes('RCPT sig@example.org') || undefined);
    smtp.recipients.clear();
    await assert.rejects(send(smtp.port), fails('Busy', /release-1\.lock: another process holds it/));
    await assert.rejects(resolveDoubt(s.step, host, 's', key, 'again'), fails('Busy', /lock/));
    await assert.rejects(first, fails('MailServerAway', /Timeout/));
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => tried(() => send(smtp.port))));
    assert.deepEqual(outcomes.map(({ sent }) => sent).sort(), [
      'before',
      'before',
      'before',
      'before',
      'now',
    ]);
    assert.equal(smtp.mailbox.length, 1);
  });

  it('refuses keys that are no file names', async () => {
    for (const bad of ['', '../x', 'a/b', 'a b', 'x'.repeat(201)])
      await assert.rejects(readOutboxOf(bad), /not a key of the outbox/);
  });
  const readOutboxOf = async (bad: string) => readOutbox(host, 's', bad);

  it('tells the password nowhere', async () => {
    const smtp = await start({ auth: { user: 'sig', password: 'battery staple' } });
    await assert.rejects(send(smtp.port), fails('MailRefused', /535/));
    await s.write('password', 'battery staple');
    await send(smtp.port);
    const folder = host.store.outbox('s');
    const files = await Promise.all(
      (await readdir(folder)).map((name) => readFile(`${folder}/${name}`, 'utf8')),
    );
    const told = [await s.log(), ...files].join('\n');
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    for (const secret of [password, 'battery staple'])
      for (const form of [secret, base64(secret), base64(`\0sig\0${secret}`)])
        assert.ok(!told.includes(form), form);
    assert.match(told, /taken: 250/);
  });
});
