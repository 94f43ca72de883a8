/**
 * A promotion from the command line to readers, on real tools: two approvers, a third who is none, a real SMTP server, an independent
 * ostree client. Then a second release, a rollback, and what is refused on the way.
 */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StreamView } from '../../src/domain/promotion.js';
import { releaseIndex, type ReleaseIndex } from '../../src/domain/release.js';
import { approversHome } from '../../src/sample/approvers.js';
import { TestInstance } from '../support/instance.js';
import { until } from '../support/ports.js';
import { startSmtp, type Smtp } from '../support/smtp.js';

describe('a promotion', function () {
  this.timeout('15m');
  let instance: TestInstance;
  let smtp: Smtp;
  let home: string;
  const builds: string[] = [];

  before(async () => {
    smtp = await startSmtp({ tls: 'none' });
    instance = await TestInstance.create();
    await instance.withSmallSample();
    home = approversHome(instance.settings.state);
    await instance.declare('sample', { images: [] });
    await instance.edit(
      'sample',
      'stream.yaml',
      (text) => `${text}  mail:
    server: smtp://127.0.0.1:${smtp.port}
    startTls: never
    from: Sample SIG <sig@sample.invalid>
  sig:
    to: [sig@sample.invalid]
  announce:
    to: [announce@sample.invalid]
`,
    );
    await instance.start();
    for (const bump of [false, true]) {
      if (bump) assert.equal((await instance.cli('sample', 'bump', 'netbase')).exitCode, 0);
      await instance.nightly('sample');
      builds.push((await instance.result('sample')).build ?? '');
    }
  });
  after(async () => {
    await instance.close();
    await smtp.close();
  });

  const as = (name: string) => ['--gnupg-home', home, '--key', `${name}@sample.invalid`, '--yes'];
  const view = async () =>
    JSON.parse((await instance.cli('promotions', 'sample', '--json')).stdout) as StreamView;
  const released = (build: string) =>
    until(`${build} is released`, 180, async () => {
      const now = await view();
      return now.current === build && now.promotions.every((promotion) => promotion.build !== build);
    });
  const url = () => `http://127.0.0.1:${instance.settings.webPort}/releases/sample`;
  async function clientHead(ref: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'treeline-client-'));
    const repo = `--repo=${folder}`;
    try {
      await execa('ostree', [repo, 'init', '--mode=archive']);
      const verify = ['--set=gpg-verify=true', '--set=gpg-verify-summary=true'];
      const key = `--gpg-import=${join(instance.settings.state, 'keys/treeline.asc')}`;
      await execa('ostree', [repo, 'remote', 'add', ...verify, key, 'r', `${url()}/repo`]);
      await execa('ostree', [repo, 'pull', 'r', ref]);
      return (await execa('ostree', [repo, 'rev-parse', `r:${ref}`])).stdout;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  it('is proposed and approved by two keys, and ends in a release', async () => {
    const [build = ''] = builds;
    const promoted = await instance.cli('promote', 'sample', build, ...as('alice'));
    assert.equal(promoted.exitCode, 0, promoted.stderr);
    assert.match(promoted.stdout, /1 of 2 approvals, waits for Bob/);

    // A key that is no approver's.
    const stranger = await mkdtemp(join(tmpdir(), 'treeline-stranger-'));
    await chmod(stranger, 0o700);
    const gpg = ['--homedir', stranger, '--batch', '--passphrase', ''];
    await execa('gpg', [...gpg, '--quick-generate-key', 'mallory@sample.invalid', 'ed25519', 'sign', '1d']);
    const refused = await instance.cli(
      ...['approve', 'sample', build, '--gnupg-home', stranger, '--key', 'mallory@sample.invalid', '--yes'],
    );
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /`mallory@sample\.invalid` is not the key of an approver of sample/);
    // Signed elsewhere, it comes to the workflow, which says so too.
    const statement = join(stranger, 'statement.json');
    await writeFile(statement, (await instance.cli('approve', 'sample', build, '--print')).stdout);
    await execa('gpg', [...gpg, '--digest-algo', 'SHA256', '--clearsign', statement]);
    const submitted = await instance.cli('submit', `${statement}.asc`);
    await execa('gpgconf', ['--homedir', stranger, '--kill', 'all']);
    await rm(stranger, { recursive: true, force: true });
    assert.equal(submitted.exitCode, 1);
    assert.match(submitted.stderr, /StatementRefused: .*key/);

    const approved = await instance.cli('approve', 'sample', build, ...as('bob'));
    assert.equal(approved.exitCode, 0, approved.stderr);
    await released(build);

    const { stdout } = await instance.cli('releases', 'sample', '--json');
    const index: ReleaseIndex = releaseIndex.parse(JSON.parse(stdout));
    assert.deepEqual(
      index.releases.map(({ version, treeline }) => [version, treeline.former, treeline.approvers]),
      [[build, null, ['Alice', 'Bob']]],
    );
    const commit = index.releases[0]?.commits[0]?.checksum;
    assert.equal(await clientHead('sample/x86_64/release'), commit);
    assert.deepEqual(releaseIndex.parse(await (await fetch(`${url()}/releases.json`)).json()), index);
    for (const page of [`releases/${build}/index.html`, 'index.html', 'releases.atom', 'stream.json'])
      assert.equal((await fetch(`${url()}/${page}`)).status, 200, page);
    const mails = smtp.mailbox.filter(({ to }) => to.includes('announce@sample.invalid'));
    assert.equal(mails.length, 1);
    assert.match(mails[0]?.parsed.text ?? '', new RegExp(build));
    const history = (await view()).history.map(({ decision, by, refused: why }) => [
      decision,
      by,
      why !== undefined,
    ]);
    assert.ok(
      history.some(([decision, , why]) => decision === 'statement' && why === true),
      JSON.stringify(history),
    );
  });

  it('refuses at once what cannot be released', async () => {
    const [build = ''] = builds;
    const cases: [string, RegExp][] = [
      [build, /is released already/],
      ['20200101_01', /BuildNotReleasable/],
    ];
    for (const [id, why] of cases) {
      const { exitCode, stderr } = await instance.cli('promote', 'sample', id, '--propose');
      assert.notEqual(exitCode, 0);
      assert.match(stderr, why);
    }
  });

  it('releases the next one, and goes back by signed statement', async () => {
    const [first = '', second = ''] = builds;
    // By the plain Temporal signal: it only proposes.
    const client = await instance.client();
    await client.workflow.getHandle('stream/sample').signal('promote', { build: second });
    await until('it is proposed', 30, async () => (await view()).promotions.length === 1);
    assert.equal((await view()).promotions[0]?.approvals.length, 0);
    for (const name of ['alice', 'bob']) {
      const { exitCode, stderr } = await instance.cli('approve', 'sample', second, ...as(name));
      assert.equal(exitCode, 0, stderr);
    }
    await released(second);
    const notes = await (await fetch(`${url()}/releases/${second}/notes.md`)).text();
    assert.match(notes, /netbase/);
    const back = await instance.cli('rollback', 'sample', '--reason', 'netbase is broken', ...as('bob'));
    assert.equal(back.exitCode, 0, back.stderr);
    await until('readers are back', 120, async () => (await view()).current === first);
    const index = releaseIndex.parse(await (await fetch(`${url()}/releases.json`)).json());
    assert.equal(index.releases[1]?.treeline['rolled-back']?.to, first);
    assert.equal(await clientHead('sample/x86_64/release'), index.releases[0]?.commits[0]?.checksum);
    assert.match(await (await fetch(`${url()}/index.html`)).text(), /netbase is broken/);
  });
});
