/** Mail to a real SMTP server: transport, refusals, certainty, and the way of a signature through it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { Failure } from '../../src/domain/failures.js';
import { composeMail, sendMail, type Mail } from '../../src/notify/smtp.js';
import { patience, type MailSettings } from '../../src/notify/mail-server.js';
import {
  instanceKeyFile,
  makeInstanceKey,
  readKey,
  signingHome,
  clearSignCommand,
} from '../../src/keys/gpg.js';
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

const password = 'corréct hörse';
const refused = (message: RegExp) => fails('MailRefused', message);
const away = (message: RegExp) => fails('MailServerAway', message);
const inDoubt = (message: RegExp) => fails('MailInDoubt', message);

describe('mail', function () {
  let s: Scratch;
  let ours: Certificate;
  let others: Certificate;
  let passwordFile: string;
  const servers: Smtp[] = [];

  before(async () => {
    s = await makeScratch('mail');
    [ours, others] = [await makeCertificate(s, 'ours'), await makeCertificate(s, 'others')];
    passwordFile = await s.write('password', `${password}\n`);
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  after(() => s.remove());

  async function start(options: SmtpOptions = {}): Promise<Smtp> {
    const server = await startSmtp({ certificate: ours, ...options });
    servers.push(server);
    return server;
  }
  const to = (port: number, change: Partial<MailSettings> = {}): MailSettings => ({
    server: `smtp://127.0.0.1:${port}`,
    startTls: 'required',
    caFile: ours.certificate,
    from: 'Atomic SIG <sig@example.org>',
    ...change,
  });
  const compose = (text = 'Hello\n', recipients = ['a@lists.example.org', 'B, C <b@example.org>']) =>
    composeMail(
      'Atomic SIG <sig@example.org>',
      { to: recipients, subject: 'Größe', text },
      { messageId: '<1.x@example.org>', date: new Date('2026-11-24T09:00:00Z') },
    );
  interface Sending {
    signal?: AbortSignal;
    /** Runs between envelope and content. */
    beforeContent?: () => Promise<void>;
    wait?: object;
  }
  const send = async (settings: MailSettings, sending: Sending = {}, mail?: Mail) =>
    sendMail(settings, mail ?? (await compose()), {
      signal: sending.signal ?? new AbortController().signal,
      beforeContent: sending.beforeContent ?? (() => Promise.resolve()),
      wait: { ...patience, ...sending.wait },
    });

  describe('as a message', () => {
    it('is the same bytes each time, and says who, what and when', async () => {
      const mail = await compose();
      assert.deepEqual(await compose(), mail);
      assert.deepEqual(mail.envelope, {
        from: 'sig@example.org',
        to: ['a@lists.example.org', 'b@example.org'],
      });
      assert.match(mail.raw, /^Message-ID: <1\.x@example\.org>\r?$/m);
      assert.match(mail.raw, /^Date: Tue, 24 Nov 2026 09:00:00 \+0000\r?$/m);
      assert.match(mail.raw, /^Auto-Submitted: auto-generated\r?$/m);
      assert.match(mail.raw, /^To: a@lists\.example\.org, "B, C" <b@example\.org>\r?$/m);
      assert.match(mail.raw, /^Content-Type: text\/plain; charset=utf-8\r?$/m);
      assert.doesNotMatch(mail.raw, /^Precedence|flowed/im);
    });

    it('keeps a subject in its header', async () => {
      const { raw } = await composeMail(
        'sig@example.org',
        { to: ['a@b'], subject: 'a\r\nBcc: x@y\r\n\r\nb', text: '' },
        { messageId: '<1@b>', date: new Date() },
      );
      assert.doesNotMatch(raw, /^Bcc/m);
    });

    it('carries a clear-signed text so that it verifies', async () => {
      await makeInstanceKey(s.step, s.folder);
      const { fingerprint } = await readKey(s.step, instanceKeyFile(s.folder));
      const bodies = {
        ascii: 'One\n.\n..two\nFrom here\n-- \nThe SIG\ntrailing  \n\ttab\n=3D\n\n',
        utf8: `Größe – „ja“\n${'long line '.repeat(120)}\n${'x'.repeat(1200)}\n${'ü'.repeat(200)}\n.\n`,
      };
      const smtp = await start();
      for (const [name, body] of Object.entries(bodies)) {
        const file = await s.write(`${name}.txt`, body);
        await s.step.run(clearSignCommand(signingHome(s.folder), fingerprint, file));
        const signed = await readFile(`${file}.asc`, 'utf8');
        await send(to(smtp.port), {}, await compose(signed));
        const got = smtp.mailbox.pop();
        const wire = got?.raw.toString('latin1') ?? '';
        assert.ok(
          wire.split('\r\n').every((line) => line.length <= 998 && !/[^\t -~]/.test(line)),
          name,
        );
        assert.equal(got?.parsed.text, signed, name);
        const arrived = await s.write(`${name}-arrived.asc`, got.parsed.text ?? '');
        await mkdir(s.at('reader'), { mode: 0o700, recursive: true });
        const gpg = ['gpg', '--homedir', s.at('reader'), '--batch', '--no-tty', '--status-fd', '1'] as const;
        await s.step.run([...gpg, '--import', instanceKeyFile(s.folder)]);
        const { stdout } = await s.step.run([...gpg, '--verify', arrived]);
        assert.match(stdout, new RegExp(`VALIDSIG ${fingerprint}`), name);
        // The check can fail.
        await writeFile(arrived, (got.parsed.text ?? '').replace(/One|Gr/, 'Two'));
        const broken = await s.step.run([...gpg, '--verify', arrived], { okCodes: [1] });
        assert.match(broken.stdout, /BADSIG/, name);
      }
    });
  });

  describe('over TLS', () => {
    it('goes by STARTTLS', async () => {
      const smtp = await start();
      assert.match(await send(to(smtp.port)), /^250 .*taken as 4711/);
      const [mail, ...more] = smtp.mailbox;
      assert.equal(more.length, 0);
      assert.ok(mail?.secure);
      assert.deepEqual([mail.from, mail.to], ['sig@example.org', ['a@lists.example.org', 'b@example.org']]);
      assert.equal(mail.parsed.subject, 'Größe');
      assert.equal(mail.parsed.text, 'Hello\n');
    });

    it('goes by smtps, to a name', async () => {
      const smtp = await start({ tls: 'implicit' });
      await send(to(smtp.port, { server: `smtps://localhost:${smtp.port}` }));
      assert.equal(smtp.mailbox[0]?.secure, true);
    });

    it('refuses a certificate that nothing vouches for', async () => {
      for (const [tls, scheme] of [['implicit', 'smtps'] as const, ['starttls', 'smtp'] as const]) {
        const smtp = await start({ tls, certificate: others });
        for (const startTls of ['required', 'offered'] as const)
          await assert.rejects(
            send(to(smtp.port, { server: `${scheme}://127.0.0.1:${smtp.port}`, startTls })),
            refused(/^smtps?:\/\/127\.0\.0\.1:\d+: .*self.signed certificate/),
          );
        assert.equal(smtp.mailbox.length, 0);
      }
    });

    it('refuses a certificate for another name', async () => {
      const certificate = await makeCertificate(s, 'elsewhere', 'DNS:mail.example.org');
      const smtp = await start({ certificate });
      await assert.rejects(
        send(to(smtp.port, { caFile: certificate.certificate })),
        refused(/127\.0\.0\.1.*does not match certificate/),
      );
    });

    it('refuses a server that does not offer it, unless that is allowed', async () => {
      const smtp = await start({ tls: 'none' });
      await assert.rejects(send(to(smtp.port)), refused(/STARTTLS: 50\d/));
      assert.equal(smtp.mailbox.length, 0);
      await send(to(smtp.port, { startTls: 'offered' }));
      assert.deepEqual(
        smtp.mailbox.map((mail) => mail.secure),
        [false],
      );
    });

    it('is used where it is offered, and left out where it is never wanted', async () => {
      const smtp = await start();
      await send(to(smtp.port, { startTls: 'offered' }));
      await send(to(smtp.port, { startTls: 'never' }));
      assert.deepEqual(
        smtp.mailbox.map((mail) => mail.secure),
        [true, false],
      );
      await assert.rejects(
        send(to(25, { server: 'smtp://mail.example.org', startTls: 'never' })),
        refused(/`never` is for loopback, not for mail\.example\.org/),
      );
    });

    it('refuses to speak TLS with a server that does not', async () => {
      const smtp = await start({ tls: 'none' });
      await assert.rejects(
        send(to(smtp.port, { server: `smtps://127.0.0.1:${smtp.port}` })),
        refused(/wrong version number|SSL/i),
      );
    });

    it('names a CA file that cannot be read', async () => {
      await assert.rejects(
        send(to(1, { caFile: s.at('none.pem') })),
        refused(/release\.mail\.caFile: .*none\.pem: cannot be read \(ENOENT\)/),
      );
    });
  });

  describe('with a password', () => {
    it('is sent by the user', async () => {
      const smtp = await start({ auth: { user: 'sig', password } });
      await send(to(smtp.port, { user: 'sig', passwordFile }));
      assert.equal(smtp.mailbox[0]?.user, 'sig');
    });

    it('that is wrong is refused, and told nowhere', async () => {
      const smtp = await start({ auth: { user: 'sig', password: 'battery staple' } });
      await assert.rejects(send(to(smtp.port, { user: 'sig', passwordFile })), (error: unknown) => {
        assert.ok(error instanceof Failure);
        refused(/535 no: sig with \*\*\*/)(error);
        const { message, stack, tail } = error;
        assert.doesNotMatch(`${message}${stack ?? ''}${tail.join()}`, /hörse/);
        return true;
      });
      assert.equal(smtp.mailbox.length, 0);
    });

    it('is refused without the user where one is needed', async () => {
      const smtp = await start({ auth: { user: 'sig', password } });
      await assert.rejects(send(to(smtp.port)), refused(/530/));
    });

    it('names a password file that is missing, unreadable or empty', async () => {
      const empty = await s.write('empty', '\n');
      for (const [file, words] of [
        [undefined, /passwordFile: missing, although there is a `user`/],
        [s.at('none'), /passwordFile: .*none: cannot be read \(ENOENT\)/],
        [empty, /passwordFile: .*: empty/],
      ] as const)
        await assert.rejects(
          send(to(1, { user: 'sig', ...(file === undefined ? {} : { passwordFile: file }) })),
          refused(words),
        );
    });

    it('does not go over a clear line to another machine', async () => {
      const smtp = await start({ tls: 'none', auth: { user: 'sig', password } });
      // 127.1 is 127.0.0.1, but not by its name.
      const settings = to(smtp.port, { server: `smtp://127.1:${smtp.port}`, startTls: 'offered' });
      await assert.rejects(
        send({ ...settings, user: 'sig', passwordFile }),
        refused(/no TLS: the password is not sent in the clear/),
      );
      assert.equal(smtp.seen.includes('AUTH sig'), false);
    });
  });

  describe('to several recipients', () => {
    it('goes to none where the server refuses one', async () => {
      for (const [code, expected] of [
        [550, refused],
        [451, away],
      ] as const) {
        const smtp = await start();
        smtp.recipients.set('b@example.org', { code, text: 'not here' });
        let asked = false;
        const beforeContent = () => Promise.resolve(void (asked = true));
        await assert.rejects(
          send(to(smtp.port), { beforeContent }),
          expected(new RegExp(`went to none: b@example\\.org: ${code} .*not here`)),
        );
        await until('the end of the session', () => smtp.seen.includes('closed') || undefined);
        assert.equal(smtp.mailbox.length, 0);
        assert.equal(asked, false);
      }
    });

    it('names each that is refused where all are', async () => {
      const smtp = await start();
      for (const one of ['a@lists.example.org', 'b@example.org']) smtp.recipients.set(one, { code: 550 });
      await assert.rejects(
        send(to(smtp.port)),
        refused(/a@lists\.example\.org: 550 .*; b@example\.org: 550/),
      );
    });
  });

  describe('the outcome', () => {
    it('is certain where the server answers the content', async () => {
      const smtp = await start();
      smtp.content = { code: 554, text: 'spam' };
      await assert.rejects(send(to(smtp.port)), refused(/554 .*spam/));
      smtp.content = { code: 451, text: 'later' };
      await assert.rejects(send(to(smtp.port)), away(/451 .*later/));
    });

    it('is in doubt where it does not', async () => {
      const smtp = await start();
      smtp.content = 'drop';
      await assert.rejects(send(to(smtp.port)), inDoubt(/closed|ECONNRESET/i));
      smtp.content = 'silence';
      await assert.rejects(send(to(smtp.port), { wait: { answer: 300 } }), inDoubt(/Timeout/));
      assert.equal(smtp.mailbox.length, 2);
    });

    it('is certain where the server is away, mute or ends before the content', async () => {
      await assert.rejects(send(to(await freePort())), away(/ECONNREFUSED/));
      await assert.rejects(send(to(1, { server: 'smtp://mail.invalid' })), away(/mail\.invalid/));
      const mute = createServer().listen(0, '127.0.0.1');
      await once(mute, 'listening');
      const { port } = mute.address() as { port: number };
      await assert.rejects(send(to(port), { wait: { connection: 300 } }), away(/Greeting never received/));
      mute.close();
      const smtp = await start();
      for (const mishap of ['drop', 'silence', { code: 421, text: 'shutting down' }] as const) {
        smtp.recipients.set('b@example.org', mishap);
        await assert.rejects(send(to(smtp.port), { wait: { answer: 300 } }), away(/closed|Timeout|421/));
      }
      assert.equal(smtp.mailbox.length, 0);
    });

    it('is that nothing went out where what comes before the content fails', async () => {
      const smtp = await start();
      const why = Object.assign(new Error('disk full'), { code: 'ENOSPC' });
      await assert.rejects(send(to(smtp.port), { beforeContent: () => Promise.reject(why) }), why);
      await until('the end of the session', () => smtp.seen.includes('closed') || undefined);
      assert.equal(smtp.mailbox.length, 0);
    });
  });

  describe('when cancelled', () => {
    it('before the content ends at once, and nothing went out', async () => {
      const smtp = await start();
      smtp.recipients.set('a@lists.example.org', 'silence');
      const abort = new AbortController();
      const sending = send(to(smtp.port), { signal: abort.signal });
      await until('the envelope', () => smtp.seen.includes('RCPT a@lists.example.org') || undefined);
      abort.abort(new Error('cancelled'));
      await assert.rejects(sending, /^Error: cancelled$/);
      await assert.rejects(send(to(smtp.port), { signal: abort.signal }), /^Error: cancelled$/);
      await until('the end of the session', () => smtp.seen.includes('closed') || undefined);
      assert.equal(smtp.mailbox.length, 0);
    });

    it('during the content waits a little for the answer', async () => {
      const smtp = await start();
      const abort = new AbortController();
      const beforeContent = () =>
        Promise.resolve(void setTimeout(() => abort.abort(new Error('cancelled')), 20));
      smtp.content = 'silence';
      const mute = send(to(smtp.port), { signal: abort.signal, beforeContent, wait: { cancelled: 200 } });
      await assert.rejects(mute, /^Error: cancelled$/);
      const again = new AbortController();
      smtp.content = undefined;
      const answered = send(to(smtp.port), {
        signal: again.signal,
        beforeContent: () => Promise.resolve(void setImmediate(() => again.abort(new Error('cancelled')))),
      });
      assert.match(await answered, /^250/);
    });
  });
});
