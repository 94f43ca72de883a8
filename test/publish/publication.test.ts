/** The publication's real activities on a tiny repo, with independent readers. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { buildIndex, buildMeta } from '../../src/domain/metadata.js';
import type { Pushed } from '../../src/publish/targets/target.js';
import { exists, needJson } from '../../src/store/store.js';
import { ref, Tiny, type Build } from './tiny.js';

describe('a publication', function () {
  let tiny: Tiny;
  let first: Build;
  before(async () => {
    tiny = await Tiny.make();
    first = await tiny.build('20261123_01');
  });
  after(() => tiny.remove());

  /** An object of `made` that no other commit has. */
  async function ownObject(made: Build): Promise<string> {
    const { stdout } = await tiny.s.step.run([
      'ostree',
      `--repo=${tiny.staging}`,
      'ls',
      '-C',
      made.commit,
      '/usr/build',
    ]);
    const checksum = /[0-9a-f]{64}/.exec(stdout)![0];
    return `objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.filez`;
  }

  it('shows readers nothing before the switch', async () => {
    await tiny.before(first);
    assert.ok((await readdir(tiny.target('repo/objects'))).length > 0);
    assert.equal(await exists(tiny.target('repo/summary')), false);
    assert.equal(await exists(tiny.target('repo/refs/heads')), false);
    assert.match((await (await tiny.reader('early')).pull()).error ?? '', /404|summary/);
  });

  it('that is the first can be taken back: readers have nothing again', async () => {
    await tiny.do(first, 'switchRefs', 'verify');
    assert.equal((await readFile(tiny.target('repo/refs/heads', ref), 'utf8')).trim(), first.commit);
    await tiny.do(first, 'restoreRefs');
    for (const part of [`refs/heads/${ref}`, 'summary', 'summary.sig'])
      assert.equal(await exists(tiny.target('repo', part)), false, part);
    assert.equal(await exists(tiny.target('repo/config')), true);
  });

  it('reaches readers, with metadata that names it', async () => {
    await tiny.publish(first);
    assert.deepEqual(await (await tiny.reader('first')).pull(), { commit: first.commit });
    const index = await needJson(tiny.target('builds.json'), buildIndex);
    assert.deepEqual(index.builds, [{ id: first.build, arches: ['x86_64'] }]);
    const meta = await needJson(tiny.target('builds', first.build, 'x86_64/meta.json'), buildMeta);
    assert.deepEqual([meta['ostree-commit'], meta['ostree-version']], [first.commit, first.build]);
    assert.ok(meta.treeline.logs.includes('publish.log'));
  });

  it('done twice changes nothing and sends no object again', async () => {
    const state = async () =>
      Promise.all(
        ['summary', `refs/heads/${ref}`].map((part) => readFile(tiny.target('repo', part), 'utf8')),
      );
    const [, head] = await state();
    await tiny.do(first, 'snapshot', 'signSummary');
    assert.equal(((await tiny.do(first, 'pushRepo')) as Pushed).files, 0);
    await tiny.do(first, 'pushImages', 'switchRefs', 'verify', 'metadata', 'compare');
    assert.equal((await state())[1], head);
    assert.equal((await needJson(tiny.target('builds.json'), buildIndex)).builds.length, 1);
  });

  it('gives readers who pull all the while the old commit or the new, and back again', async () => {
    const second = await tiny.build('20261123_02', first.commit);
    await tiny.before(second);
    let running = true;
    const seen: string[] = [];
    const mismatches: string[] = [];
    const readers = await Promise.all(['a', 'b', 'c'].map((name) => tiny.reader(name)));
    const loops = readers.map(async (reader) => {
      while (running) {
        const { commit, error } = await reader.pull();
        if (error === undefined) seen.push(commit);
        // The summary and its signature are two files: between their renames they do not fit, and a reader tries again.
        else if (/BAD signature|[Ss]ummary|signatures? (found|were)/.test(error)) mismatches.push(error);
        else assert.fail(error);
      }
    });
    const work = async () => {
      for (let round = 0; round < 3; round++) {
        await tiny.do(second, 'switchRefs');
        assert.deepEqual(await (await tiny.reader(`new-${round}`)).pull(), { commit: second.commit });
        await tiny.do(second, 'restoreRefs');
        assert.deepEqual(await (await tiny.reader(`old-${round}`)).pull(), { commit: first.commit });
      }
    };
    await work().finally(() => (running = false));
    await Promise.all(loops);
    assert.deepEqual([...new Set(seen)].sort(), [first.commit, second.commit].sort());
    assert.ok(
      mismatches.length <= seen.length / 4,
      `${mismatches.length} of ${seen.length}: ${mismatches[0]}`,
    );
    await tiny.publish(second);
    assert.deepEqual(await readers[0]!.pull(), { commit: second.commit });
  });

  it('that is published with its metadata stays when a later failure restores refs', async () => {
    const third = await tiny.build('20261123_03', await head());
    await tiny.publish(third);
    await tiny.do(third, 'restoreRefs');
    assert.equal(await head(), third.commit);
  });
  const head = async () => (await readFile(tiny.target('repo/refs/heads', ref), 'utf8')).trim();

  it('is refused with another version than the build', async () => {
    const wrong = await tiny.build('20261123_04', await head(), { version: '20261123_05' });
    await assert.rejects(tiny.do(wrong, 'snapshot'), {
      type: 'CommitInvalid',
      nonRetryable: true,
      message: /version 20261123_05, but the build is 20261123_04/,
    });
  });

  it('is refused when the published head is not its parent any more', async () => {
    for (const parent of [first.commit, undefined]) {
      const stale = await tiny.build('20261123_06', parent);
      await assert.rejects(tiny.do(stale, 'snapshot'), {
        type: 'PublishConflict',
        nonRetryable: true,
        message: /points to [0-9a-f]{64} now, but this build was made on /,
      });
    }
  });

  it("is refused without a signature of the stream's key", async () => {
    const unsigned = await tiny.build('20261123_07', await head(), { unsigned: true });
    await assert.rejects(tiny.do(unsigned, 'snapshot'), /no signatures exist|GPG verification/i);
  });

  it('is refused when an object of the commit is missing', async () => {
    const broken = await tiny.build('20261123_08', await head());
    await rm(`${tiny.staging}/${await ownObject(broken)}`);
    await assert.rejects(
      tiny.do(broken, 'snapshot'),
      /No such file|[Nn]o such metadata|[Cc]ouldn't find file object/,
    );
    const { stdout } = await tiny.s.step.run([
      'ostree',
      `--repo=${tiny.host.store.snapshot('tiny')}`,
      'rev-parse',
      ref,
    ]);
    assert.notEqual(stdout.trim(), broken.commit);
  });

  it('is not verified when an object is missing at the target, and readers go back', async () => {
    const former = await head();
    const damaged = await tiny.build('20261123_09', former);
    await tiny.before(damaged);
    await rm(tiny.target('repo', await ownObject(damaged)));
    await tiny.do(damaged, 'switchRefs');
    await assert.rejects(tiny.do(damaged, 'verify'), {
      type: 'VerificationFailed',
      nonRetryable: true,
      message: /404/,
    });
    await tiny.do(damaged, 'restoreRefs');
    assert.deepEqual(await (await tiny.reader('after-damage')).pull(), { commit: former });
  });
});
