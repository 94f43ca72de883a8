/** Announcements and what the SIG is told: a real SMTP server, a real HTTP server. */
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { announceActivities } from '../../src/activities/announce.js';
import type { SigArgs } from '../../src/domain/inputs.js';
import type { Host } from '../../src/host.js';
import type { ReleaseIndex, ReleaseNotes } from '../../src/domain/release.js';
import { emptyReleases } from '../../src/store/releases.js';
import { Store, writeJson } from '../../src/store/store.js';
import { loadStream } from '../../src/streams/load.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, settingsOf } from '../streams/tiny-stream.js';
import { startSmtp, type Smtp } from '../support/smtp.js';
import { startWebhook, type Webhook } from '../support/webhook.js';

const build = '20261123_01';
const withTarget = `${good}  release: { location: /srv/release, url: 'http://r/tiny' }\n`;
const approvers = '  approvers: [{ name: A, key: a.asc }]\n  approvals: { promote: 1 }\n';
const commit = 'ab'.repeat(32);

describe('announce', () => {
  let s: Scratch;
  let host: Host;
  let smtp: Smtp;
  let hook: Webhook;

  beforeEach(async () => {
    s = await makeScratch('announce');
    host = { settings: settingsOf(s), store: new Store(s.at('state')) };
    smtp = await startSmtp({ tls: 'none' });
    hook = await startWebhook();
  });
  afterEach(async () => {
    hook.close();
    await smtp.close();
    await s.remove();
  });

  const mail = () =>
    `  mail: { server: smtp://127.0.0.1:${smtp.port}, startTls: never, from: SIG <sig@example.org> }\n`;
  const args = { stream: 'tiny', run: 'r', step: 'announce' };

  /** Declares the stream with these release settings. */
  const declare = (settings: string) =>
    s.write('streams/tiny/stream.yaml', `${withTarget}release:\n${approvers}${settings}`);
  /** What the steps before the announcement leave. */
  async function released(signed = true): Promise<void> {
    await writeJson(s.at('state/store/tiny/runs/r/stream.json'), await loadStream(host.settings, 'tiny'));
    const files = host.store.releaseFiles('tiny', build);
    await writeJson(`${files}/announcement.json`, { subject: `Tiny ${build} released` });
    await s.write(`state/store/tiny/releases/${build}/files/announcement.txt`, 'It is out.\n');
    if (signed)
      await s.write(`state/store/tiny/releases/${build}/files/announcement.txt.asc`, 'Signed: it is out.\n');
    const notes: ReleaseNotes = {
      stream: { name: 'tiny', title: 'Tiny', description: '', osname: 'tiny' },
      build,
      former: null,
      time: '2026-11-24T00:00:00Z',
      url: 'http://r/tiny',
      page: `http://r/tiny/releases/${build}/`,
      signingKey: { fingerprint: 'F', user: 'U', url: 'http://r/tiny/signing-key.asc' },
      approvers: ['A'],
      knownIssues: [],
      architectures: [
        {
          architecture: 'x86_64',
          ref: 'tiny/x86_64/standard',
          commit,
          packages: 1,
          images: [],
          advisories: [],
        },
      ],
    };
    await writeJson(`${host.store.releaseFiles('tiny', build)}/notes.json`, notes);
    const index: ReleaseIndex = {
      ...emptyReleases('tiny'),
      releases: [
        {
          version: build,
          metadata: `http://r/tiny/releases/${build}/release.json`,
          commits: [{ architecture: 'x86_64', checksum: commit }],
          treeline: {
            ...{ released: notes.time, ref: 'tiny/x86_64/standard', page: notes.page },
            ...{ former: null, approvers: ['A'] },
          },
        },
      ],
    };
    await writeJson(join(host.store.releasePublished('tiny'), 'releases.json'), index);
  }
  const announce = () => runActivity(announceActivities(host).announce, { ...args, build });
  const failsWith = (type: string, nonRetryable: boolean) => (error: unknown) =>
    error instanceof ApplicationFailure && error.type === type && error.nonRetryable === nonRetryable;

  it('mails the clear-signed text once, then tells the webhook', async () => {
    await declare(`${mail()}  announce: { to: [announce@lists.example.org], webhook: '${hook.url}' }\n`);
    await released();
    hook.status = 503;
    await assert.rejects(announce(), failsWith('TargetUnreachable', false));
    hook.status = 200;
    const { messageId, ...rest } = await announce();
    assert.deepEqual(rest, { mail: 'sent', webhook: true });
    assert.deepEqual(
      smtp.mailbox.map(({ to, parsed }) => [to, parsed.subject, parsed.text, parsed.messageId]),
      [[['announce@lists.example.org'], `Tiny ${build} released`, 'Signed: it is out.\n', messageId]],
    );
    assert.match(messageId ?? '', /^<release\.tiny\.20261123_01\.[0-9a-f]{16}@example\.org>$/);
    const told = { event: 'release', id: `release-${build}`, stream: 'tiny', build };
    const whole = { ...told, url: `http://r/tiny/releases/${build}/`, commits: { x86_64: commit } };
    assert.deepEqual(hook.received, [whole, whole]);
  });

  it('tells nobody of what is not released, or is held and was not let go', async () => {
    await declare(
      `${mail()}  announce: { to: [announce@lists.example.org], webhook: '${hook.url}', hold: true }\n`,
    );
    await released();
    await assert.rejects(announce(), failsWith('StatementRefused', true));
    await declare(`${mail()}  announce: { to: [announce@lists.example.org], webhook: '${hook.url}' }\n`);
    await rm(join(host.store.releasePublished('tiny'), 'releases.json'));
    await assert.rejects(announce(), /is not released: there is nothing to announce/);
    assert.deepEqual([smtp.mailbox, hook.received], [[], []]);
  });

  it('tells the webhook what a security release fixes', async () => {
    await declare(`  announce: { webhook: '${hook.url}' }\n`);
    await released();
    const file = `${host.store.releaseFiles('tiny', build)}/notes.json`;
    const advisory = { id: 'T-1', title: 'x', severity: 'critical', cves: ['CVE-2026-1'] };
    const notes = JSON.parse(await readFile(file, 'utf8')) as ReleaseNotes;
    await writeJson(file, { ...notes, security: { case: '20261123-1', advisories: [advisory] } });
    await announce();
    const [told] = hook.received as { security?: unknown }[];
    assert.deepEqual(told?.security, {
      ...{ case: '20261123-1', severity: 'critical', advisories: ['T-1'], cves: ['CVE-2026-1'] },
    });
  });

  it('mails the plain text where none is signed, but not where one should be', async () => {
    await declare(`${mail()}  announce: { to: [a@b], key: announcer.asc }\n`);
    await released(false);
    await assert.rejects(announce(), failsWith('SigningFailed', true));
    await declare(`${mail()}  announce: { to: [a@b] }\n`);
    assert.equal((await announce()).mail, 'sent');
    assert.deepEqual(
      smtp.mailbox.map(({ parsed }) => parsed.text),
      ['It is out.\n'],
    );
  });

  it('goes on once the stream file is mended', async () => {
    await declare(`${mail()}  announce: { to: [gone@b] }\n`);
    await released();
    smtp.recipients.set('gone@b', { code: 550 });
    await assert.rejects(announce(), failsWith('MailRefused', true));
    await declare(`${mail()}  announce: { to: [here@b] }\n`);
    assert.equal((await announce()).mail, 'sent');
  });

  it('asks a person where it is in doubt, and takes the answer', async () => {
    await declare(`${mail()}  announce: { to: [a@b] }\n`);
    await released();
    smtp.content = 'drop';
    await assert.rejects(announce(), failsWith('MailInDoubt', true));
    smtp.content = undefined;
    await assert.rejects(announce(), failsWith('MailInDoubt', true));
    const resolve = (answer: 'sent' | 'again') =>
      runActivity(announceActivities(host).resolveMail, { ...args, build, mail: answer });
    await resolve('again');
    assert.equal((await announce()).mail, 'sent');
    assert.equal(smtp.mailbox.length, 2);
    await resolve('sent');
  });

  it('has nothing to do without settings, also for a stream that is no longer declared', async () => {
    await declare('');
    await released();
    assert.deepEqual(await announce(), { mail: 'none', webhook: false });
    await s.write('streams/tiny/stream.yaml', good);
    assert.deepEqual(await announce(), { mail: 'none', webhook: false });
  });

  it('uses the frozen stream where it is no longer declared', async () => {
    await declare(`${mail()}  announce: { to: [a@b] }\n`);
    await released();
    await s.write('none/README', 'no stream is declared here');
    host = { ...host, settings: { ...host.settings, streams: s.at('none') } };
    assert.equal((await announce()).mail, 'sent');
  });

  describe('tellSig', () => {
    const news = {
      key: 'remind-2026-11-24',
      subject: 'A release is due',
      text: 'On Tuesday.\n',
      event: 'due',
    };
    const tell = (change: Partial<SigArgs> = {}) =>
      runActivity(announceActivities(host).tellSig, { ...args, ...news, ...change });

    it('mails once for each key, and tells the webhook', async () => {
      await declare(`${mail()}  sig: { to: [sig@b], webhook: '${hook.url}' }\n`);
      await tell();
      await tell();
      await tell({ key: 'missed-2026-11-24', subject: 'No release', build });
      assert.deepEqual(
        smtp.mailbox.map(({ to, parsed }) => [to, parsed.subject, parsed.text]),
        [
          [['sig@b'], 'A release is due', 'On Tuesday.\n'],
          [['sig@b'], 'No release', 'On Tuesday.\n'],
        ],
      );
      const told = { event: 'due', id: news.key, stream: 'tiny', text: news.text };
      assert.deepEqual(hook.received, [told, told, { ...told, id: 'missed-2026-11-24', build }]);
    });

    it('mails the security group alone, and tells no webhook', async () => {
      const group = `  security: { to: [security@b] }\n`;
      await declare(`${mail()}  sig: { to: [sig@b], webhook: '${hook.url}' }\n${group}`);
      await tell({ audience: 'security' });
      await tell({ audience: 'security' });
      assert.deepEqual([smtp.mailbox.map(({ to }) => to), hook.received], [[['security@b']], []]);
      // The same key is another news to another audience.
      await tell();
      assert.deepEqual([smtp.mailbox.at(-1)?.to, hook.received.length], [['sig@b'], 1]);
      await declare(`${mail()}  sig: { to: [sig@b], webhook: '${hook.url}' }\n`);
      await tell({ audience: 'security', key: 'other' });
      assert.deepEqual([smtp.mailbox.length, hook.received.length], [2, 1]);
    });

    it('sends again what is in doubt', async () => {
      await declare(`${mail()}  sig: { to: [sig@b] }\n`);
      smtp.content = 'drop';
      await assert.rejects(tell(), failsWith('MailServerAway', false));
      smtp.content = undefined;
      await tell();
      const [first, second, ...more] = smtp.mailbox.map(({ parsed }) => parsed.messageId);
      assert.deepEqual([first, more], [second, []]);
    });

    it('tells only the webhook without recipients, and nobody without settings', async () => {
      await declare(`${mail()}  sig: { webhook: '${hook.url}' }\n`);
      await tell();
      assert.equal(hook.received.length, 1);
      for (const settings of [mail(), '']) {
        await declare(settings);
        await tell();
      }
      await s.write('streams/tiny/stream.yaml', good);
      await tell();
      assert.deepEqual([hook.received.length, smtp.mailbox.length], [1, 0]);
    });

    it('is tried again while the webhook is away, and refuses a key that is no name', async () => {
      await declare(`${mail()}  sig: { to: [sig@b], webhook: 'http://127.0.0.1:1/hook' }\n`);
      await assert.rejects(tell(), failsWith('TargetUnreachable', false));
      await assert.rejects(tell({ key: '../x' }), { type: 'InputRefused', nonRetryable: true });
    });
  });
});
