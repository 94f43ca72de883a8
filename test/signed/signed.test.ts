/**
 * The signed rebuild from a nightly to readers of mirror and cloud, on real tools: a real beanstalkd, the local builder that compiles, real
 * signatures, a rework that the SIG asks for, a release, and a machine of it that upgrades to the next one. The worker, the
 * builder and beanstalkd die by SIGKILL on the way.
 */
import assert from 'node:assert/strict';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { execa } from 'execa';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildMeta, type BuildMeta } from '../../src/domain/metadata.js';
import type { Attempt, Promotion, StreamView } from '../../src/domain/promotion.js';
import { lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import { releaseIndex } from '../../src/domain/release.js';
import type { SecurityCase } from '../../src/domain/security.js';
import { signingHome } from '../../src/keys/gpg.js';
import { approversHome } from '../../src/sample/approvers.js';
import { watchId } from '../../src/workflows/decisions/stream-messages.js';
import { Gate, type Hold } from '../support/gate.js';
import { LocalReimzul } from '../support/reimzul.js';
import { saveHistory } from '../support/histories.js';
import { TestInstance } from '../support/instance.js';
import { freePort, until } from '../support/ports.js';
import { assertNoSecrets } from '../support/secrets.js';
import { startSmtp, type Smtp } from '../support/smtp.js';
import { upgrade } from './upgrade.js';

const stream = 'sample-signed';

describe('a signed rebuild', function () {
  this.timeout('30m');
  let instance: TestInstance;
  let reimzul: LocalReimzul;
  let smtp: Smtp;
  let home: string;
  let work: string;
  let gate: Gate;
  const builds: string[] = [];
  /** What was released, oldest first. */
  const released: string[] = [];

  before(async () => {
    smtp = await startSmtp({ tls: 'none' });
    work = await mkdtemp(join(tmpdir(), 'treeline-signed-'));
    const state = join(work, 'instance/state');
    gate = await Gate.make(join(work, 'gate'), join(state, `store/${stream}{,.signed}/runs/*/logs`));
    const folders = { TREELINE_STATE: state, TREELINE_STREAMS: join(work, 'instance/streams') };
    instance = await TestInstance.create({ ...folders, TREELINE_PATH: gate.path });
    await instance.withSample();
    home = approversHome(instance.settings.state);
    const beanstalk = `127.0.0.1:${await freePort()}`;
    await instance.ship(stream, (declared) => {
      declared.images = [];
      const release = declared.release as Record<string, unknown>;
      const { reimzul: settings, ...rebuild } = release.rebuild as Record<string, unknown>;
      release.rebuild = {
        ...rebuild,
        reimzul: { ...(settings as object), beanstalk, lost: '20s', deadline: '5m' },
      };
      release.mail = {
        server: `smtp://127.0.0.1:${smtp.port}`,
        startTls: 'never',
        from: 'sig@sample.invalid',
      };
      release.sig = { to: ['sig@sample.invalid'] };
      release.announce = { to: ['announce@sample.invalid'] };
      release.security = { ...(release.security as object), join: '1m' };
    });
    await instance.start();
    reimzul = await LocalReimzul.start(instance, beanstalk);
    await nightly();
  });
  after(async () => {
    await reimzul.close();
    await instance.close();
    await smtp.close();
    await rm(work, { recursive: true, force: true });
  });

  async function nightly(): Promise<void> {
    await instance.nightly(stream);
    builds.push((await instance.result(stream)).build ?? '');
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
      .getHandle(`stream/${stream}`)
      .query<StreamView>('view')
      .catch(() => undefined);
  const promotionOf = async (build: string): Promise<Promotion | undefined> =>
    (await view())?.promotions.find((promotion) => promotion.build === build);
  async function promote(build: string): Promise<void> {
    await ok('promote', stream, build, ...as('alice'));
    await ok('approve', stream, build, ...as('bob'));
  }
  /** The attempt, when it has ended well. */
  async function tested(build: string, number: number): Promise<Attempt> {
    let last: Attempt | undefined;
    await until(`attempt ${number} at ${build} is tested`, 600, async () => {
      const promotion = await promotionOf(build);
      last = promotion?.attempts?.find((attempt) => attempt.number === number);
      if (last && ['failed', 'differs', 'cancelled'].includes(last.state)) assert.fail(JSON.stringify(last));
      return last?.state === 'testing' && promotion?.phase === 'deciding';
    });
    return last ?? assert.fail();
  }
  /** SIGKILL while a step is held; then on to where the next one is held. */
  async function killed(what: 'worker' | 'server', next?: Hold): Promise<void> {
    await gate.held(300);
    await (what === 'worker' ? instance.killWorkers() : instance.killServer());
    await gate.open();
    // What is held looks every 50 ms.
    await sleep(500);
    if (next) await gate.close(next);
    await (what === 'worker' ? instance.startWorker() : instance.startServer());
  }
  const url = (place: string) => `http://127.0.0.1:${instance.settings.webPort}/${place}/${stream}`;
  const metaOf = async (place: string, build: string): Promise<BuildMeta> =>
    buildMeta.parse(await (await fetch(`${url(place)}/builds/${build}/x86_64/meta.json`)).json());
  async function release(build: string, attempt: Attempt): Promise<void> {
    for (const name of ['alice', 'bob']) await ok('decide', stream, build, 'release', ...as(name));
    const signed = attempt.build ?? '';
    await until(`${signed} is released`, 300, async () => {
      const now = await view();
      const failed = now?.promotions.find(({ phase }) => phase === 'failed');
      if (failed) assert.fail(failed.note);
      return now?.current === signed && now.promotions.every((promotion) => promotion.build !== build);
    });
    released.push(signed);
  }
  /** The packages that were rebuilt for a build in testing. */
  async function oursOf(build = ''): Promise<object> {
    const file = await fetch(`${url('testing')}/builds/${build}/x86_64/packages.json`);
    const packages = Object.entries(rebuildPackages.parse(await file.json()));
    assert.ok(packages.some(([, { origin }]) => origin === 'rebuilt'));
    return Object.fromEntries(packages.filter(([, { origin }]) => origin === 'rebuilt'));
  }
  const key = () => join(instance.settings.state, 'keys/treeline.asc');
  async function clientHead(): Promise<string> {
    const folder = await mkdtemp(join(work, 'client-'));
    const repo = `--repo=${folder}`;
    await execa('ostree', [repo, 'init', '--mode=archive']);
    const verify = ['--set=gpg-verify=true', '--set=gpg-verify-summary=true', `--gpg-import=${key()}`];
    await execa('ostree', [repo, 'remote', 'add', ...verify, 'r', `${url('mirror')}/repo`]);
    await execa('ostree', [repo, 'pull', 'r', `${stream}/x86_64/standard`]);
    return (await execa('ostree', [repo, 'rev-parse', `r:${stream}/x86_64/standard`])).stdout;
  }

  it('is compiled, signed, composed and tested through killed workers, builders and queues', async () => {
    const [build = ''] = builds;
    reimzul.pause();
    await promote(build);
    await until('a job waits', 120, () => reimzul.hasJobs('x86_64'));
    await instance.killWorkers();
    await reimzul.kill();
    await instance.startWorker();
    await reimzul.start();
    const attempt = await tested(build, 1);
    const meta = await metaOf('testing', attempt.build ?? '');
    assert.equal(meta['ostree-commit'], attempt.commits?.x86_64);
    const { rebuild: redone } = meta.treeline;
    assert.equal(redone?.accepted, build);
    assert.ok(redone.rebuilt >= 2, 'two really rebuilt');
    const page = `${url('testing')}/builds/${meta.buildid}/x86_64`;
    assert.match(await (await fetch(`${page}/equivalence.html`)).text(), /netbase/);
    const packages = rebuildPackages.parse(await (await fetch(`${page}/packages.json`)).json());
    const own = Object.entries(packages).filter(([, { origin }]) => origin === 'rebuilt');
    assert.ok(own.some(([name]) => name === 'treeline-sample-tools'));
    for (const [name, { evra }] of own) assert.match(evra, /\.tl1\.\w+$/, name);
  });

  it('is reworked through SIGKILLs at signing, check and switch, and released to mirror and cloud by two statements', async () => {
    const [build = ''] = builds;
    const images = 'images:\n  - kind: qcow2\n    size: 2GiB\n';
    await instance.edit(stream, 'stream.yaml', (text) => text.replace(/^images: \[\]\n/m, images));
    const reason = ['--reason', 'with an image'];
    // What cannot be made, or changes nothing, is refused before anybody signs, and ends no attempt.
    const lock = lockfile.parse(
      await (await fetch(`${url('buildlogs')}/builds/${build}/x86_64/lockfile.json`)).json(),
    );
    for (const [why, ...options] of [
      [/is without nebtase: there is nothing to drop/, '--drop', 'nebtase'],
      [/netbase/, '--pin', 'netbase=99-1.noarch'],
      [/the changes change nothing/, '--pin', `netbase=${lock.packages.netbase?.evra ?? ''}`],
      [/has the accepted inputs: redo it/, '--accepted-inputs'],
    ] as const) {
      const typo = await instance.cli('decide', stream, build, 'rework', ...options, ...as('alice'));
      assert.notEqual(typo.exitCode, 0);
      assert.match(typo.stderr, why);
    }
    assert.equal((await promotionOf(build))?.attempts?.at(-1)?.state, 'testing');
    await gate.close({ step: 'sign-packages', when: 'before', command: 'createrepo_c' });
    await ok('decide', stream, build, 'rework', '--current-files', '--reuse', ...reason, ...as('alice'));
    await killed('worker', { step: 'check-tree', when: 'before', command: 'ostree' });
    await killed('server', { step: 'switch', when: 'after', command: 'rsync' });
    await killed('worker');
    const attempt = await tested(build, 2);
    assert.equal(attempt.kind, 'rework');
    // What was signed for the first attempt is taken as it was signed.
    const [first] = (await promotionOf(build))?.attempts ?? [];
    assert.deepEqual(await oursOf(attempt.build), await oursOf(first?.build));
    const stale = await instance.cli('decide', stream, '20200101_01', 'release', ...as('alice'));
    assert.notEqual(stale.exitCode, 0);
    await release(build, attempt);

    const index = releaseIndex.parse(JSON.parse(await ok('releases', stream, '--json')));
    const [entry] = index.releases;
    assert.deepEqual(
      [entry?.version, entry?.treeline.accepted, entry?.treeline.approvers],
      [attempt.build, build, ['Alice', 'Bob']],
    );
    assert.equal(await clientHead(), entry?.commits[0]?.checksum);
    assert.equal(smtp.mailbox.filter(({ to }) => to.includes('announce@sample.invalid')).length, 1);
  });

  it('is signed as it says: images on cloud, every package that must be ours', async () => {
    const [signed = ''] = released;
    const meta = await metaOf('cloud', signed);
    const keyring = join(work, 'keyring.gpg');
    await execa('gpg', ['--batch', '--yes', '--output', keyring, '--dearmor', key()]);
    const at = `${url('cloud')}/builds/${signed}/x86_64`;
    for (const image of Object.values(meta.images)) {
      const [file, signature] = [join(work, image.path), join(work, `${image.path}.asc`)];
      for (const [name, to] of [
        [image.path, file],
        [image.signature ?? '', signature],
      ] as const)
        // prettier-ignore
        await writeFile(to, Buffer.from(await (await fetch(`${at}/${name}`)).arrayBuffer()));
      await execa('gpgv', ['--keyring', keyring, signature, file]);
    }
    const run = (await instance.store().runOf(stream, signed)) ?? '';
    const folder = instance.store().archDir({ stream: `${stream}.signed`, run }, 'x86_64');
    const packages = rebuildPackages.parse(JSON.parse(await readFile(join(folder, 'packages.json'), 'utf8')));
    const dbpath = `--dbpath=${join(work, 'rpmdb')}`;
    await execa('rpmkeys', [dbpath, '--import', key()]);
    for (const { origin, file } of Object.values(packages)) {
      const check = ['--define', '_pkgverify_level all', '--checksig', join(folder, 'packages', file)];
      const { exitCode, stdout } = await execa('rpmkeys', [dbpath, ...check], { reject: false });
      // With our key alone: ours are good, and no others.
      assert.equal(exitCode === 0, origin === 'rebuilt', stdout);
    }
  });

  it('brings a fix by one approval while a nightly runs, announced as a security notice', async () => {
    const [first = ''] = released;
    await ok('apply');
    await ok('sample', 'bump', 'treeline-sample-tools');
    // Of all chains only a nightly pushes images by themselves.
    await gate.close({ step: 'push-images', when: 'after', command: 'rsync.*buildlogs' });
    await instance.nightly(stream);
    await gate.held(300);
    const schedule = (await instance.client()).schedule.getHandle(watchId(stream));
    const cases = async () => (await view())?.security ?? [];
    for (const [name, number] of [
      ['netbase', '1'],
      ['usr-is-merged', '2'],
    ] as const) {
      const advisory = ['--advisory', `SAMPLE-2026:${number}`, '--cve', `CVE-2026-000${number}`];
      await ok('sample', 'bump', name, ...advisory, '--severity', 'critical');
      await schedule.trigger();
      await until(`${name} is known`, 120, async () =>
        (await cases())[0]?.fixes.some((fix) => fix.name === name),
      );
    }
    const { id, plan } = await until('a plan waits for an approval', 300, async () => {
      const [one] = await cases();
      if (one?.phase === 'failed') assert.fail(one.note);
      return one?.plan && { ...one, plan: one.plan };
    });
    assert.deepEqual(
      plan.packages.map(({ name, why }) => [name, why]),
      [
        ['netbase', 'fix'],
        ['usr-is-merged', 'fix'],
      ],
    );
    await ok('security', stream, '--approve', id, ...as('bob'));
    const fixed = await until('the fix is released', 900, async () => {
      const one = (await view())?.security?.find((other) => other.id === id);
      if (one && ['failed', 'differs'].includes(one.phase)) assert.fail(one.note);
      return one?.phase === 'released' && one.build;
    });
    assert.equal((await instance.progress(stream))?.phase, 'publish', 'the nightly still runs');
    await gate.open();
    builds.push((await instance.result(stream)).build ?? '');

    const { releases } = releaseIndex.parse(JSON.parse(await ok('releases', stream, '--json')));
    const entry = releases.at(-1);
    assert.deepEqual(
      [entry?.version, entry?.treeline.former, entry?.treeline.approvers, entry?.treeline.security?.cves],
      [fixed, first, ['Bob'], ['CVE-2026-0001', 'CVE-2026-0002']],
    );
    assert.equal(await clientHead(), entry?.commits[0]?.checksum);
    // Readers see the history of releases, and nothing of attempts that were none.
    const mirror = join(instance.store().www(), `mirror/${stream}/repo`);
    const log = await execa('ostree', [`--repo=${mirror}`, 'log', `${stream}/x86_64/standard`]);
    assert.deepEqual(
      Array.from(log.stdout.matchAll(/^commit ([0-9a-f]{64})$/gm), ([, commit]) => commit),
      releases.map(({ commits }) => commits[0]?.checksum).reverse(),
    );
    const packagesOf = async (build: string) =>
      lockfile.parse(await (await fetch(`${url('cloud')}/builds/${build}/x86_64/lockfile.json`)).json())
        .packages;
    const [before, after] = [await packagesOf(first), await packagesOf(fixed)];
    const differing = Object.keys({ ...before, ...after }).filter(
      (name) => before[name]?.digest !== after[name]?.digest,
    );
    assert.deepEqual(differing.sort(), ['netbase', 'usr-is-merged']);
    const notices = smtp.mailbox.filter(({ to }) => to.includes('announce@sample.invalid'));
    assert.equal(notices.length, 2);
    const [{ times }] = (await cases()) as [SecurityCase];
    for (const time of ['published', 'detected', 'planned', 'built', 'approved', 'released'] as const)
      assert.ok(times[time] !== undefined, time);
    // The next look finds the same advisories, and opens nothing.
    await schedule.trigger();
    await until('the watch has looked again', 120, async () => {
      const { info } = await schedule.describe();
      return info.runningActions.length === 0 && info.numActionsTaken >= 3;
    });
    assert.equal((await cases()).length, 1);
    assert.match(notices[1]?.parsed.text ?? '', /SAMPLE-2026:1[\s\S]*CVE-2026-0001/);
  });

  it('upgrades a machine of the old release to the fix over mirror, with GPG verification', async () => {
    const from = await metaOf('cloud', released[0] ?? '');
    const disk = join(work, Object.values(from.images)[0]?.path ?? '');
    await upgrade(instance, { disk, work, from, tools: instance.settings.path, place: `mirror/${stream}` }); // prettier-ignore
  });

  it('leaves no secret in histories, logs and published files, and keys for the signing role alone', async () => {
    const client = await instance.client();
    const histories: Record<string, string> = {};
    for await (const { workflowId, runId, type } of client.workflow.list()) {
      histories[`${workflowId} ${runId}`] = historyToJSON(
        await client.workflow.getHandle(workflowId, runId).fetchHistory(),
      );
      if (type === 'rebuild') await saveHistory(client, workflowId, runId, 'rebuild-tested');
    }
    const { state } = instance.settings;
    await assertNoSecrets(
      { strings: histories, folders: [join(state, 'store'), join(state, 'www')] },
      signingHome(state),
    );
    // As the user of the other roles.
    const find = ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'find', join(state, 'keys'), '-type', 'f', '-readable']; // prettier-ignore
    const { stdout } = await execa('setpriv', find, { reject: false });
    assert.doesNotMatch(stdout, /private-keys|gnupg/);
    assert.ok((await readdir(signingHome(state))).length > 0);
  });
});
