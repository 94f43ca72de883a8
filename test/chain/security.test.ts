/**
 * Security releases of a stream that is released by copy, on real tools. One that a person asks for under embargo goes through SIGKILLs
 * of worker and server, and leaks nothing before it is out; the promotion that waits meanwhile is asked.
 */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockfile } from '../../src/domain/lockfile.js';
import type { StreamView } from '../../src/domain/promotion.js';
import { releaseIndex, type ReleaseEntry } from '../../src/domain/release.js';
import type { CasePhase, SecurityCase } from '../../src/domain/security.js';
import { approversHome } from '../../src/sample/approvers.js';
import { Gate, type Hold } from '../support/gate.js';
import { TestInstance } from '../support/instance.js';
import { until } from '../support/ports.js';
import { startSmtp, type Smtp } from '../support/smtp.js';

/** Where the build and the release of a fix are killed, in their order: worker or server. */
const kills: readonly (Hold & { readonly what: 'worker' | 'server' })[] = [
  { what: 'worker', step: 'plan', when: 'before', command: 'python3' },
  { what: 'server', step: 'commit', when: 'after', command: 'ostree.*commit' },
  { what: 'worker', step: 'sign-commit', when: 'after', command: 'ostree.*gpg-sign' },
];
const releaseKills: typeof kills = [
  { what: 'worker', step: 'take', when: 'after', command: 'ostree.*pull-local' },
  { what: 'server', step: 'switch', when: 'after', command: 'rsync' },
];

describe('a security release by copy', function () {
  this.timeout('15m');
  let instance: TestInstance;
  let smtp: Smtp;
  let home: string;
  let folder: string;
  let gate: Gate;
  const builds: string[] = [];
  const released: string[] = [];

  before(async () => {
    smtp = await startSmtp({ tls: 'none' });
    folder = await mkdtemp(join(tmpdir(), 'treeline-security-'));
    const state = join(folder, 'instance/state');
    gate = await Gate.make(join(folder, 'gate'), join(state, 'store/sample/runs/*/logs'));
    const folders = { TREELINE_STATE: state, TREELINE_STREAMS: join(folder, 'instance/streams') };
    instance = await TestInstance.create({ ...folders, TREELINE_PATH: gate.path });
    await instance.withSmallSample();
    home = approversHome(instance.settings.state);
    await instance.ship('sample', (declared) => {
      declared.images = [];
      const release = declared.release as Record<string, unknown>;
      release.mail = {
        ...{ server: `smtp://127.0.0.1:${smtp.port}`, startTls: 'never', from: 'sig@sample.invalid' },
      };
      release.sig = { to: ['sig@sample.invalid'] };
      release.announce = { to: ['announce@sample.invalid'] };
      const { security } = release;
      release.security = {
        ...(security as object),
        join: '20s',
        to: ['security@sample.invalid'],
        approvers: ['Bob'],
      };
    });
    await instance.start();
    await nightly();
    const [first = ''] = builds;
    await ok('promote', 'sample', first, ...as('alice'));
    await ok('approve', 'sample', first, ...as('bob'));
    await until(`${first} is released`, 180, async () => (await view())?.current === first);
    released.push(first);
    // Newer than the release, and older than the fix: it waits for its second approval.
    await ok('sample', 'bump', 'treeline-sample-tools');
    await nightly();
    await ok('promote', 'sample', builds[1] ?? '', ...as('alice'));
  });
  after(async () => {
    await gate.open();
    await instance.close();
    await smtp.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function nightly(): Promise<void> {
    await instance.nightly('sample');
    builds.push((await instance.result('sample')).build ?? '');
  }
  const as = (name: string) => ['--gnupg-home', home, '--key', `${name}@sample.invalid`, '--yes'];
  const ok = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await instance.cli(...args);
    assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  /** Undefined while no worker answers. */
  const view = async (): Promise<StreamView | undefined> =>
    (await instance.client()).workflow
      .getHandle('stream/sample')
      .query<StreamView>('view')
      .catch(() => undefined);
  /** The newest case, when it is there. */
  const newest = (phase: CasePhase, seconds = 300): Promise<SecurityCase> =>
    until(`the case is ${phase}`, seconds, async () => {
      const one = (await view())?.security?.[0];
      if (one && one.phase !== phase && ['failed', 'differs', 'dismissed', 'fixed'].includes(one.phase))
        assert.fail(JSON.stringify(one));
      return one?.phase === phase && one;
    });
  async function through(all: typeof kills): Promise<void> {
    for (const [at, { what }] of all.entries()) {
      await gate.held(300);
      await (what === 'worker' ? instance.killWorkers() : instance.killServer());
      await gate.open();
      // What is held looks every 50 ms.
      await sleep(500);
      const next = all[at + 1];
      if (next) await gate.close(next);
      await (what === 'worker' ? instance.startWorker() : instance.startServer());
    }
  }
  const url = () => `http://127.0.0.1:${instance.settings.webPort}/releases/sample`;
  async function entries(): Promise<ReleaseEntry[]> {
    return releaseIndex.parse(await (await fetch(`${url()}/releases.json`)).json()).releases;
  }
  async function differing(a: string, b: string): Promise<string[]> {
    const of = async (build: string) =>
      lockfile.parse(await (await fetch(`${url()}/builds/${build}/x86_64/lockfile.json`)).json()).packages;
    const [before, after] = [await of(a), await of(b)];
    return Object.keys({ ...before, ...after })
      .filter((name) => before[name]?.evra !== after[name]?.evra)
      .sort();
  }
  /** Files under the web server's root, but for the package repos, that have one of the words; and mails to others than the group. */
  async function leaks(words: readonly string[]): Promise<string[]> {
    const root = instance.store().www();
    const patterns = words.flatMap((word) => ['-e', word]);
    const grep = ['--recursive', '--files-with-matches', '--fixed-strings', ...patterns, root];
    const { stdout } = await execa('grep', grep, { reject: false });
    const names = await execa('find', [
      root,
      ...words.flatMap((word) => ['-name', `*${word}*`, '-o']).slice(0, -1),
    ]);
    const mails = smtp.mailbox.filter(
      ({ to, parsed }) =>
        to.some((address) => address !== 'security@sample.invalid') &&
        words.some((word) => `${parsed.subject ?? ''} ${parsed.text ?? ''}`.includes(word)),
    );
    return [
      ...`${stdout}\n${names.stdout}`.split('\n').filter((line) => line !== ''),
      ...mails.map(({ parsed }) => `mail: ${parsed.subject ?? ''}`),
    ];
  }

  it('that a person asks for under embargo is made through SIGKILLs, and leaks nothing', async () => {
    const nevra = (await ok('sample', 'bump', 'netbase')).trim().split(' ').at(-1) ?? '';
    const [plan] = kills;
    if (plan) await gate.close(plan);
    await ok('security', 'sample', '--package', nevra, '--embargo', '--reason', 'hushed', ...as('bob'));
    await through(kills);
    const made = await newest('waiting');
    assert.deepEqual(
      made.plan?.packages.map(({ name, why }) => [name, why]),
      [['netbase', 'fix']],
    );
    const version = nevra.replace(/^netbase-/, '').replace(/\.\w+$/, '');
    const words = [made.id, made.build ?? '', version, made.buildCommits?.x86_64 ?? '', 'hushed'];
    assert.ok(
      words.every((word) => word.length > 5),
      JSON.stringify(words),
    );
    assert.deepEqual(await leaks(words), []);
    assert.ok(
      smtp.mailbox.some(({ to }) => to.includes('security@sample.invalid')),
      'the group is told',
    );

    const alice = await instance.cli('security', 'sample', '--approve', made.id, ...as('alice'));
    assert.notEqual(alice.exitCode, 0, 'she is not in the group');
    const [take] = releaseKills;
    if (take) await gate.close(take);
    await ok('security', 'sample', '--approve', made.id, ...as('bob'));
    await through(releaseKills);
    const { build = '' } = await newest('released');
    const [first = ''] = released;
    released.push(build);
    const last = (await entries()).at(-1);
    assert.deepEqual(
      [last?.version, last?.treeline.former, last?.treeline.approvers, last?.commits[0]?.checksum],
      [build, first, ['Bob'], made.buildCommits?.x86_64],
    );
    assert.deepEqual(await differing(first, build), ['netbase']);
    assert.equal(smtp.mailbox.filter(({ to }) => to.includes('announce@sample.invalid')).length, 2);
    // Now everybody may know.
    assert.match(await (await fetch(`${url()}/security/index.html`)).text(), new RegExp(made.id));
  });

  it('is not lost by the promotion that waited: it is asked, and goes only with a word on it', async () => {
    const [, older = ''] = builds;
    const { id } = await newest('released');
    const asked = await until('the promotion is asked', 60, async () => {
      const one = (await view())?.promotions.find(({ build }) => build === older);
      return one?.note?.includes(id) && one;
    });
    assert.match(asked.note ?? '', /--unfixed/);
    const refused = await instance.cli('approve', 'sample', older, ...as('bob'));
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.stderr, /ReleaseUnfixed/);
    for (const name of ['alice', 'bob']) await ok('approve', 'sample', older, '--unfixed', id, ...as(name));
    await until(`${older} is released`, 180, async () => (await view())?.current === older);
    released.push(older);
    const page = JSON.parse(await (await fetch(`${url()}/security.json`)).text()) as unknown;
    assert.match(JSON.stringify(page), new RegExp(older), 'it is shown what the release lacks');
  });
});
