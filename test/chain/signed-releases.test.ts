/**
 * Releases of signed builds to mirror and cloud, on real tools: whole at both, or at both as before, whatever happens between the
 * switches of the two. In lanes: the cases of a lane build on one another.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { releaseIndex } from '../../src/domain/release.js';
import { exists } from '../../src/store/store.js';
import type { Hold } from '../support/gate.js';
import type { TestInstance } from '../support/instance.js';
import { inLanes, type Case } from '../support/lanes.js';
import { until } from '../support/ports.js';
import { startRsyncDaemon, type Server } from '../support/servers.js';
import { accepted, ended, fails, release, retry, rollBack, start } from '../support/signed-release.js';
import { TinyInstance } from '../support/tiny-instance.js';
import { declareTiny, releaseRef, type TinyBuild } from '../support/tiny-store.js';

const headFile = (tiny: TinyInstance) => tiny.mirrored('repo/refs/heads', releaseRef);
const pointer = (tiny: TinyInstance) => readFile(tiny.released('stream.json'), 'utf8').catch(() => undefined);

/** What readers have at both: what a client pulls, and what `stream.json` and `releases.json` say. */
const readers = async (tiny: TinyInstance) => ({
  commit: await tiny.pull(),
  pointer: await pointer(tiny),
  releases: await readFile(tiny.released('releases.json'), 'utf8').catch(() => undefined),
});

/** The release fails; both are as before, and nothing of it is left. */
async function refused(tiny: TinyInstance, made: TinyBuild, type: string, why: RegExp, before: unknown) {
  await fails(tiny, made, type, why);
  assert.deepEqual(await readers(tiny), before);
  for (const folder of ['builds', 'releases'])
    assert.equal(await exists(tiny.released(folder, made.build)), false, folder);
  await tiny.tidy();
}

async function released(tiny: TinyInstance, made: TinyBuild): Promise<void> {
  await ended(tiny, made);
  await tiny.whole(made);
  assert.match((await pointer(tiny)) ?? '', new RegExp(made.commit));
}

const whole: Case = {
  name: 'goes to both, is documented with their addresses, and says what it was made from',
  async run(tiny) {
    const made = tiny.next();
    await release(tiny, made);
    await released(tiny, made);
    assert.equal(await exists(tiny.released('repo')), false, 'no repo at cloud');
    assert.equal(await exists(tiny.mirrored('builds')), false, 'no images at mirror');
    const index = releaseIndex.parse(JSON.parse(await readFile(tiny.released('releases.json'), 'utf8')));
    assert.equal(index.releases.at(-1)?.treeline.accepted, accepted);
    // Without the escapes of Markdown.
    const text = async (name: string) =>
      (await readFile(tiny.released('releases', made.build, name), 'utf8')).replaceAll('\\', '');
    for (const name of ['notes.md', 'download.md', 'announcement.txt', 'index.html']) {
      const found = await text(name);
      assert.ok(found.includes(`${tiny.repoUrl}/repo`), `${name}: the repo is at mirror`);
      if (name !== 'index.html') assert.ok(found.includes(`${tiny.url}/builds/`), `${name}: images at cloud`);
      assert.match(found, new RegExp(accepted), name);
    }
    const notes = await text('notes.md');
    assert.match(notes, /1 packages rebuilt and signed by us, 1 taken as accepted/);
    assert.match(notes, /rebuilt and signed by us \| 1 \| `tiny-rebuilt 1-1\.noarch`/);
    assert.match(await tiny.log(made, 'switch'), /both are switched, within \d+ ms/);
  },
};

const headsMoved: Case = {
  name: 'is refused when somebody else has moved either of them',
  async run(tiny) {
    const made = tiny.next();
    for (const [file, content, why] of [
      [headFile(tiny), `${'ab'.repeat(32)}\n`, /repo tiny\S+: is (ab)+; the approval was given on/],
      [tiny.released('stream.json'), '{"stream":1}', /stream\.json: is no stream metadata/],
      [tiny.released('stream.json'), undefined, /stream\.json: names nothing/],
    ] as const) {
      const former = await readFile(file);
      await rm(file);
      if (content !== undefined) await writeFile(file, content);
      await release(tiny, made);
      await fails(tiny, made, 'HeadMoved', why);
      assert.equal(await readFile(file, 'utf8').catch(() => undefined), content, 'it is left alone');
      await writeFile(file, former);
    }
    await start(tiny, made, await tiny.current());
    await released(tiny, made);
  },
};

const tampered: Case = {
  name: 'is refused when an image was tampered with, in the store or at cloud, as long as before or not',
  async run(tiny) {
    const made = tiny.next();
    const before = await readers(tiny);
    const name = `tiny-${made.build}.qcow2`;
    const turned = (content: Buffer) => Buffer.concat([Buffer.from('I'), content.subarray(1)]);
    const image = tiny.files(made, name);
    const good = await readFile(image);
    await writeFile(image, turned(good));
    await release(tiny, made);
    await refused(tiny, made, 'BuildDamaged', /qcow2: sha256 [0-9a-f]{64}/, before);
    await writeFile(image, good);
    const there = tiny.released('builds', made.build, 'x86_64', name);
    for (const [file, change, why] of [
      [there, turned, /qcow2: readers get sha256 [0-9a-f]{64}/],
      [`${there}.asc`, turned, /qcow2\.asc: no good signature/],
    ] as const) {
      await tiny.gate.close({ step: 'try', command: 'ostree.*pull', when: 'before' });
      await start(tiny, made, await tiny.current());
      await tiny.gate.held();
      const content = await readFile(file);
      await rm(file);
      await writeFile(file, change(content));
      await tiny.gate.open();
      await refused(tiny, made, 'VerificationFailed', why, before);
    }
    await start(tiny, made, await tiny.current());
    await released(tiny, made);
  },
};

const back: Case = {
  name: 'is rolled back at both',
  async run(tiny) {
    const [from, to] = [tiny.last(), tiny.last(1)];
    await rollBack(tiny, from, to);
    assert.equal(await tiny.pull(), to.commit);
    assert.equal(
      await pointer(tiny),
      await readFile(tiny.released('releases', to.build, 'release.json'), 'utf8'),
    );
    const index = releaseIndex.parse(JSON.parse(await readFile(tiny.released('releases.json'), 'utf8')));
    assert.equal(index.releases.at(-1)?.treeline['rolled-back']?.to, to.build);
    await tiny.tidy();
  },
};

/** Mirror is an rsync daemon. */
const daemons = new Map<TinyInstance['instance'], Server>();
const remote = () =>
  TinyInstance.start(async (instance) => {
    await mkdir(join(instance.store().www(), 'mirror'), { recursive: true });
    daemons.set(instance, await listen(instance));
    return `rsync://127.0.0.1:${daemons.get(instance)?.port}/mirror/tiny`;
  }, true);
const listen = (instance: TestInstance, port?: number) =>
  startRsyncDaemon(
    dirname(instance.settings.state),
    `[mirror]\npath = ${join(instance.store().www(), 'mirror')}\nread only = false\n`,
    port,
  );

/** The command of a switch: cloud's, mirror's. */
const [cloudSwitch, mirrorSwitch] = ['rsync.*/stream.json', 'rsync.*/next-'] as const;

const refusedAt = (name: string, command: string): Case => ({
  name,
  async run(tiny) {
    const made = tiny.next();
    const before = await readers(tiny);
    await tiny.gate.close({ step: 'switch', command, when: 'half' });
    await release(tiny, made);
    await tiny.gate.held();
    assert.match((await pointer(tiny)) ?? '', new RegExp(made.commit), 'cloud is switched');
    const head = await readFile(headFile(tiny), 'utf8').catch(() => undefined);
    assert.equal(head === `${made.commit}\n`, command === mirrorSwitch, 'mirror is switched half-way');
    await tiny.gate.open();
    await refused(tiny, made, 'PublishRefused', /Permission denied/, before);
    assert.match(await tiny.log(made, 'verify-undone'), / done$/m);
    await start(tiny, made, await tiny.current());
    await released(tiny, made);
  },
});

const away: Case = {
  name: 'waits at the former release while mirror is away between the switches, and goes on when it is back',
  async run(tiny) {
    const made = tiny.next();
    const before = await readers(tiny);
    const { instance } = tiny;
    // The worker dies in the first step too.
    await tiny.gate.close({ step: 'precheck', command: 'rsync.*list-only', when: 'before' });
    await release(tiny, made);
    await tiny.gate.held();
    await tiny.killWorker();
    await tiny.gate.close({ step: 'switch', command: mirrorSwitch, when: 'before' });
    await tiny.gate.held(120);
    const daemon = daemons.get(instance) ?? assert.fail();
    await daemon.close();
    await tiny.gate.open();
    await until('it says so', 60, async () => /switch: TargetUnreachable/.test(await tiny.trouble(made)));
    assert.deepEqual(await readers(tiny), before);
    daemons.set(instance, await listen(instance, daemon.port));
    await released(tiny, made);
  },
};

/** The worker dies while a command of the step is held; the release ends whole. */
const killed = (step: string, when: Hold['when'], command: string, held?: typeof between): Case => ({
  name: `survives SIGKILL in ${step}, ${when} \`${command.replaceAll('.*', ' … ')}\``,
  async run(tiny) {
    const made = tiny.next();
    await tiny.gate.close({ step, command, when });
    await release(tiny, made);
    await tiny.gate.held();
    await held?.(tiny, made);
    await tiny.killWorker();
    await released(tiny, made);
    assert.match(await tiny.log(made, step), /, attempt 2, on /);
  },
});

const between = async (tiny: TinyInstance, made: TinyBuild) => {
  assert.match((await pointer(tiny)) ?? '', new RegExp(made.commit), 'cloud is switched');
  assert.notEqual(await tiny.pull(), made.commit, 'mirror is not');
};

const undoKilled: Case = {
  name: 'is taken back at both though the worker dies in that, and while it is verified',
  async run(tiny) {
    const made = tiny.next();
    const before = await readers(tiny);
    await tiny.gate.close({ step: 'switch', command: mirrorSwitch, when: 'half' });
    await release(tiny, made);
    await tiny.gate.held();
    await tiny.gate.open();
    await until('it is refused', 30, async () =>
      (await tiny.log(made, 'switch')).includes('\nPermission denied'),
    );
    await tiny.gate.close({ step: 'undo', command: 'rsync.*/former-', when: 'before' });
    await tiny.gate.held();
    await tiny.killWorker();
    await tiny.gate.close({ step: 'verify-undone', command: 'ostree.*pull', when: 'before' });
    await tiny.gate.held(120);
    await tiny.killWorker();
    await refused(tiny, made, 'PublishRefused', /Permission denied/, before);
  },
};

const lag: Case = {
  name: 'is not announced before enough mirrors serve it',
  async run(tiny) {
    const made = tiny.next();
    const { settings } = tiny.instance;
    const mirror = join(tiny.instance.store().www(), 'mirrors/one');
    await cp(tiny.mirrored('repo'), mirror, { recursive: true });
    await declareTiny(settings.streams, {
      ...{ approvers: tiny.builds.approvers, smtpPort: tiny.smtp.port, signed: true },
      mirrors: [`http://127.0.0.1:${settings.webPort}/mirrors/one`],
    });
    // The worker dies while a mirror is looked at.
    tiny.holdWeb = /^\/mirrors\/one/;
    await release(tiny, made);
    await until('it looks at the mirror', 60, () => tiny.webHeld);
    await tiny.killWorker();
    const shown = async (of: TinyBuild) => JSON.stringify(await tiny.targets(of));
    await until('it waits', 120, async () =>
      /0 of 1 serve it; behind: .*older summary/.test(await shown(made)),
    );
    assert.equal(await tiny.pull(), made.commit, 'mirror has it meanwhile');
    assert.equal(tiny.mails(made).length, 0);
    for (const file of ['summary', 'summary.sig']) await cp(tiny.mirrored('repo', file), join(mirror, file));
    await released(tiny, made);
    // A second one, which a person does not want to wait for.
    const next = tiny.next();
    await release(tiny, next);
    await until('it waits', 120, async () => /0 of 1 serve it/.test(await shown(next)));
    await retry(tiny, next);
    await released(tiny, next);
  },
};

describe('a release of a signed build', function () {
  this.timeout('10m');
  inLanes([
    { start: () => TinyInstance.start(undefined, true), cases: [whole, headsMoved, tampered, back] },
    {
      start: remote,
      cases: [
        refusedAt('returns both, before a first one to none, when cloud refuses its switch', cloudSwitch),
        refusedAt('returns both to the former one when mirror refuses its switch', mirrorSwitch),
        away,
        undoKilled,
      ],
    },
    {
      start: () => TinyInstance.start(undefined, true),
      cases: [killed('switch', 'before', mirrorSwitch, between), killed('try', 'before', 'gpgv'), lag],
    },
  ]);
  after(async () => {
    for (const daemon of daemons.values()) await daemon.close();
  });
});
