/**
 * Releases of what was tampered with, and releases that somebody or something gets in the way of, on real tools: each is refused and
 * taken back with its reason, or mended. In lanes: the cases of a lane build on one another.
 */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists } from '../../src/store/store.js';
import { releaseId } from '../../src/workflows/decisions/stream-messages.js';
import type { TestInstance } from '../support/instance.js';
import { inLanes, type Case } from '../support/lanes.js';
import { until } from '../support/ports.js';
import { startRsyncDaemon, type Server } from '../support/servers.js';
import { TinyInstance } from '../support/tiny-instance.js';
import type { TinyBuild } from '../support/tiny-store.js';

/** Objects that nothing names, pages, files that are being written. */
const invisible = /(^|\/)\.|^repo\/(objects|config)|^(index\.html|releases\.atom|treeline\.css)$/;

/** What readers find of releases, but for the pages: those tell of candidates too, and may be being written. */
async function visible(tiny: TinyInstance): Promise<Record<string, string>> {
  const root = tiny.released();
  const seen: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const file = join(entry.parentPath, entry.name);
    const name = file.slice(root.length + 1);
    if (entry.isFile() && !invisible.test(name)) seen[name] = await readFile(file, 'utf8');
  }
  return seen;
}

/** The release fails, its promotion waits for a retry, and readers have what they had. */
async function refused(tiny: TinyInstance, build: TinyBuild, type: string, why: RegExp): Promise<void> {
  await tiny.failed(build);
  const failure = await tiny.failure(build);
  assert.equal(failure.type, type, failure.message);
  assert.match(failure.message, why);
  await tiny.tidy();
}

async function retried(tiny: TinyInstance, build: TinyBuild): Promise<void> {
  await tiny.retry(build);
  await tiny.ended(build);
  await tiny.whole(build);
}

/** Changes a file for as long as `body` runs. */
async function changed(
  file: string,
  change: (content: Buffer) => Buffer | string,
  body: () => Promise<void>,
) {
  const content = await readFile(file);
  // A file of its own: objects are links to those of other repos.
  await rm(file);
  await writeFile(file, change(content));
  assert.notDeepEqual(await readFile(file), content);
  try {
    await body();
  } finally {
    await rm(file);
    await writeFile(file, content);
  }
}

/** A bit in the middle turned: as long as before. */
const flipped = (content: Buffer) => {
  const other = Buffer.from(content);
  const middle = content.length >> 1;
  other.writeUInt8(other.readUInt8(middle) ^ 1, middle);
  return other;
};

/** Path of the object of a file in the commit, below the repo. */
async function objectOf(tiny: TinyInstance, { commit }: TinyBuild, file: string): Promise<string> {
  const repo = tiny.instance.store().repo('tiny');
  const { stdout } = await execa('ostree', [`--repo=${repo}`, 'ls', '-C', commit, file]);
  const checksum = /[0-9a-f]{64}/.exec(stdout)?.[0] ?? assert.fail(stdout);
  return `objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.filez`;
}

const healthy: Case = {
  name: 'of a healthy build is whole',
  async run(tiny) {
    const build = tiny.next();
    await tiny.release(build);
    await tiny.ended(build);
    await tiny.whole(build);
  },
};

const firstSwitch: Case = {
  name: 'is taken back when its switch is refused half-way: before a first release there is nothing',
  async run(tiny) {
    const build = tiny.next();
    await tiny.gate.close({ step: 'switch', command: 'rsync', when: 'half' });
    await tiny.release(build);
    await tiny.gate.held();
    assert.ok(await exists(tiny.released('repo/refs/heads/tiny/x86_64/release')), 'the ref is out');
    await tiny.gate.open();
    await refused(tiny, build, 'PublishRefused', /Permission denied/);
    assert.deepEqual(Object.keys(await visible(tiny)), ['signing-key.asc']);
    await retried(tiny, build);
  },
};

const tampered: Case = {
  name: 'is refused for whatever was tampered with, and goes when that is mended',
  async run(tiny) {
    const build = tiny.next();
    const before = await visible(tiny);
    const name = `tiny-${build.build}.qcow2`;
    const published = join(
      tiny.instance.store().www(),
      'buildlogs/tiny/builds',
      build.build,
      'x86_64/meta.json',
    );
    const { people } = tiny.builds;
    // Another's key, and a good signature.
    const foreign = await people.gpg(
      ['--local-user', 'ann@example.org', '--armor', '--detach-sign'],
      await readFile(tiny.files(build, name), 'utf8'),
    );
    const sums = await people.gpg(['--local-user', 'ann@example.org', '--armor', '--clearsign'], 'no sums\n');
    const repo = tiny.instance.store().repo('tiny');
    const cases: [string, (content: Buffer) => Buffer | string, RegExp][] = [
      [tiny.files(build, name), flipped, /qcow2: sha256 [0-9a-f]{64}/],
      [tiny.files(build, `${name}.asc`), () => foreign, /no good signature of the stream's key \(ERRSIG/],
      [tiny.files(build, `${name}.asc`), () => '', /no good signature of the stream's key/],
      [tiny.files(build, 'sha256sum.txt.asc'), () => sums, /no good signature of the stream's key/],
      [published, (content) => content.toString().replace('"dnf"', '"dnf5"'), /not what this instance has/],
      [published, (content) => content.subarray(0, 100), /not what this instance has/],
      [join(repo, await objectOf(tiny, build, '/usr/build')), flipped, /fsck|not whole/],
    ];
    let first = true;
    for (const [file, change, why] of cases)
      await changed(file, change, async () => {
        await (first ? tiny.release(build) : tiny.retry(build));
        first = false;
        await refused(tiny, build, 'BuildDamaged', why);
        assert.deepEqual(await visible(tiny), before);
      });
    await retried(tiny, build);
  },
};

const headMoved: Case = {
  name: 'is taken back when somebody else moves the head before the switch',
  async run(tiny) {
    const build = tiny.next();
    const ref = tiny.released('repo/refs/heads/tiny/x86_64/release');
    const former = await readFile(ref, 'utf8');
    const before = await visible(tiny);
    await tiny.gate.close({ step: 'try', command: 'ostree.*pull', when: 'before' });
    await tiny.release(build);
    await tiny.gate.held();
    assert.ok(await exists(tiny.released('builds', build.build)), 'its files are out already');
    await writeFile(ref, `${'ab'.repeat(32)}\n`);
    await tiny.gate.open();
    await refused(tiny, build, 'HeadMoved', /is (ab)+; the approval was given on/);
    assert.equal(await readFile(ref, 'utf8'), `${'ab'.repeat(32)}\n`, 'their head is left alone');
    await writeFile(ref, former);
    assert.deepEqual(await visible(tiny), before);
    await retried(tiny, build);
  },
};

const conflict: Case = {
  name: 'leaves alone what others have put in its place',
  async run(tiny) {
    const build = tiny.next();
    for (const [folder, name] of [
      [`builds/${build.build}/x86_64`, `tiny-${build.build}.qcow2`],
      [`releases/${build.build}`, 'notes.json'],
    ] as const) {
      await mkdir(tiny.released(folder), { recursive: true });
      await writeFile(tiny.released(folder, name), 'of others');
      await writeFile(tiny.released(folder, 'more'), 'of others');
      const before = await visible(tiny);
      await (name === 'notes.json' ? tiny.retry(build) : tiny.release(build));
      await refused(tiny, build, 'PublishConflict', new RegExp(`has another .*${name}`));
      assert.deepEqual(await visible(tiny), before);
      await rm(tiny.released(folder), { recursive: true });
    }
    await retried(tiny, build);
  },
};

const lostObject: Case = {
  name: 'is not released on a damaged repo; the retry mends what is missing',
  async run(tiny) {
    const build = tiny.next();
    await rm(tiny.released('repo', await objectOf(tiny, build, '/usr/file-0')));
    await tiny.release(build);
    await refused(tiny, build, 'VerificationFailed', /404/);
    await retried(tiny, build);
  },
};

const drift: Case = {
  name: 'is repaired when somebody removes its image and brings back the old summary',
  async run(tiny) {
    const build = tiny.next();
    const kept = tiny.instance.settings.state;
    for (const file of ['summary', 'summary.sig'])
      await copyFile(tiny.released('repo', file), join(kept, file));
    await tiny.gate.close({ step: 'metadata', command: 'rsync.*next-releases.json', when: 'after' });
    await tiny.release(build);
    await tiny.gate.held();
    await rm(tiny.released('builds', build.build, 'x86_64', `tiny-${build.build}.qcow2`));
    for (const file of ['summary', 'summary.sig'])
      await copyFile(join(kept, file), tiny.released('repo', file));
    assert.notEqual(await tiny.pull(), build.commit);
    await tiny.gate.open();
    await tiny.ended(build);
    await tiny.whole(build);
    assert.match(await tiny.log(build, 'repair'), / done$/m);
    assert.match(await tiny.log(build, 'drift-2'), / done$/m);
  },
};

/** Without what bears the time of its signature. */
const unsigned = async (tiny: TinyInstance) =>
  Object.entries(await visible(tiny)).filter(([name]) => !/summary|announcement\.txt\.asc/.test(name));

/** A release workflow started by hand, past the stream's. */
async function again(tiny: TinyInstance, build: TinyBuild, onto: string | null): Promise<unknown> {
  const client = await tiny.instance.client();
  return client.workflow.execute('release', {
    workflowId: releaseId('tiny', build.build),
    taskQueue: 'control',
    args: [{ stream: 'tiny', kind: 'copy', build: build.build, onto, approvals: [], needed: 0 }],
  });
}

const twice: Case = {
  name: 'is made once: not asked for again, and started again it changes nothing',
  async run(tiny) {
    const [former, build] = [tiny.last(1), tiny.last()];
    await assert.rejects(tiny.promote(build), /BuildNotReleasable: .*is released already/);
    const before = await unsigned(tiny);
    await again(tiny, build, former.build);
    assert.deepEqual(await unsigned(tiny), before);
    await assert.rejects(again(tiny, former, tiny.last(2).build));
    assert.equal((await tiny.failure(former)).type, 'HeadMoved');
    assert.deepEqual(await unsigned(tiny), before);
    for (const one of [former, build]) assert.equal(tiny.mails(one).length, 1);
    await tiny.whole(build);
  },
};

let daemon: Server;
/** A release location that an rsync daemon writes. */
const remote = () =>
  TinyInstance.start(async (instance) => {
    const folder = join(instance.store().www(), 'releases');
    await mkdir(folder, { recursive: true });
    daemon = await startRsyncDaemon(configOf(instance), moduleOf(folder));
    return `rsync://127.0.0.1:${daemon.port}/releases/tiny`;
  });
/** Beside the instance: what is in it must end with its releases. */
const configOf = ({ settings }: TestInstance) => dirname(settings.state);
const moduleOf = (folder: string) => `[releases]\npath = ${folder}\nread only = false\n`;

const away: Case = {
  name: 'waits while the release location is away, and goes on when it is back',
  async run(tiny) {
    const build = tiny.next();
    await tiny.gate.close({ step: 'push-repo', command: 'rsync', when: 'before' });
    await tiny.release(build);
    await tiny.gate.held();
    await daemon.close();
    await tiny.gate.open();
    await until('it says so', 60, async () => /push-repo: TargetUnreachable/.test(await tiny.trouble(build)));
    daemon = await startRsyncDaemon(configOf(tiny.instance), moduleOf(tiny.released('..')), daemon.port);
    await tiny.ended(build);
    await tiny.whole(build);
  },
};

const nightly: Case = {
  name: 'goes on beside publications of other builds, and readers get the old commit or the new',
  async run(tiny) {
    const [former, build] = [tiny.last(), tiny.next()];
    const seen = new Set<string>();
    let mixed = 0;
    let pulling = true;
    const machines = await Promise.all([tiny.machine(), tiny.machine()]);
    const readers = machines.map(async (machine) => {
      while (pulling) {
        const { commit, error } = await machine.pull();
        if (error === undefined) seen.add(commit);
        // Between the renames of the summary and of its signature they do not fit: a machine tries again.
        else if (/BAD signature|[Ss]ummary|signatures? (found|were)/.test(error)) mixed++;
        else assert.fail(error);
      }
    });
    // Signed before: two signers at a time share an agent that ends with the first.
    const other = await tiny.builds.build('20261123_11');
    await tiny.builds.stage(other);
    let publications = 0;
    const publish = async () => {
      for (; pulling; publications++) await tiny.builds.push(other);
    };
    try {
      const publishing = publish();
      await tiny.release(build);
      await tiny.ended(build);
      await until('readers have it', 30, () => seen.has(build.commit));
      pulling = false;
      await publishing;
    } finally {
      pulling = false;
      await Promise.all(readers);
      await Promise.all(machines.map((machine) => machine.remove()));
    }
    assert.deepEqual([...seen].sort(), [former.commit, build.commit].sort());
    assert.ok(mixed <= 4, `${mixed} times a machine had to try again`);
    await tiny.whole(build);
    const head = join(tiny.instance.store().www(), 'buildlogs/tiny/repo/refs/heads/tiny/x86_64/standard');
    assert.equal((await readFile(head, 'utf8')).trim(), other.commit);
    assert.ok(publications > 0);
  },
};

const undoKilled: Case = {
  name: 'is taken back though the worker dies while it is',
  async run(tiny) {
    const build = tiny.next();
    const before = await visible(tiny);
    await tiny.gate.close({ step: 'switch', command: 'rsync.*next-', when: 'half' });
    await tiny.release(build);
    await tiny.gate.held();
    await tiny.gate.passed();
    await tiny.gate.close({ step: 'undo', command: 'rsync', when: 'after' });
    await tiny.gate.held();
    await tiny.killWorker();
    await refused(tiny, build, 'PublishRefused', /Permission denied/);
    assert.deepEqual(await visible(tiny), before);
    await retried(tiny, build);
  },
};

describe('a release', function () {
  this.timeout('10m');
  inLanes([
    { cases: [firstSwitch, tampered, lostObject] },
    { cases: [healthy, headMoved, conflict, drift, twice] },
    { start: remote, cases: [away, nightly, undoKilled] },
  ]);
  after(() => daemon.close());
});
