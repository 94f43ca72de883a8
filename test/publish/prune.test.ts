/** Retention: what is removed from the target and the store, also when a try breaks off. */
import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pruneBuilds, pruneRuns, publishIndex, readIndex } from '../../src/publish/build-index.js';
import { buildIndex, emptyIndex } from '../../src/domain/metadata.js';
import type { Promotion } from '../../src/domain/promotion.js';
import type { SecurityCase } from '../../src/domain/security.js';
import { fixFile } from '../../src/store/fix-record.js';
import { recalledView, saveView } from '../../src/store/releases.js';
import { exists, needJson, writeJson } from '../../src/store/store.js';
import { Tiny } from './tiny.js';

describe('retention', function () {
  let tiny: Tiny;
  const ids = ['20261123_05', '20261123_04', '20261123_03', '20261122_02', '20261122_01'];
  beforeEach(async () => {
    tiny = await Tiny.make();
    const index = {
      ...emptyIndex(),
      builds: ids.map((id) => ({ id, arches: ['x86_64'] })),
      'tombstone-builds': [{ id: '20261121_01' }],
    };
    for (const file of [tiny.s.at('store/tiny/published/builds.json'), tiny.target('builds.json')])
      await writeJson(file, index);
    for (const [age, id] of ids.entries()) {
      await tiny.s.write(`www/tiny/builds/${id}/x86_64/meta.json`, '{}');
      await tiny.s.write(`store/tiny/ids/${id}`, `run-of-${id}\n`);
      await tiny.s.write(`store/tiny/runs/run-of-${id}/run.json`, '{}');
      await utimes(
        tiny.s.at(`store/tiny/runs/run-of-${id}`),
        new Date(),
        new Date(Date.now() - age * 3_600_000),
      );
    }
    await tiny.s.write('www/tiny/repo/objects/aa/b.filez', 'kept');
    await tiny.s.write('www/tiny/builds/README', 'kept');
  });
  afterEach(() => tiny.remove());

  const alive = new Set<string>();
  /** Both parts: the target's after a publication, the store's by the worker's housekeeping. */
  const prune = async () => ({
    builds: await pruneBuilds(tiny.host, tiny.s.step, tiny.stream),
    runs: (await pruneRuns(tiny.host, tiny.stream, alive)).sort(),
  });
  const target = () => needJson(tiny.target('builds.json'), buildIndex);

  it('keeps a build whose promotion is open, whatever its age', async () => {
    const [, , , old = ''] = ids;
    const promotion: Promotion = {
      ...{ build: old, phase: 'proposed', proposedBy: 'Ada', proposedAt: '2026-11-23T10:00:00Z', onto: null },
      ...{ approvals: [], needed: 1, missing: ['Ada'], expires: '2026-12-21T10:00:00Z' },
    };
    const view = recalledView('tiny', undefined, {
      stream: 'tiny',
      metadata: { 'last-modified': '' },
      releases: [],
    });
    await saveView(tiny.host.store, { ...view, promotions: [promotion] });
    await prune();
    const kept = [...ids.slice(0, 2), old];
    assert.deepEqual(
      (await target()).builds.map(({ id }) => id),
      kept,
    );
    assert.equal(await exists(tiny.target('builds', old)), true);
    assert.ok((await readdir(tiny.s.at('store/tiny/runs'))).includes(`run-of-${old}`));
  });

  it('keeps the current release, which security releases are made from, and what an open case has made', async () => {
    const [, , ours = '', , released = ''] = ids;
    const commits = [{ architecture: 'x86_64' as const, checksum: 'ab'.repeat(32) }];
    const treeline = { released: '2026-11-23T10:00:00Z', ref: 'x', page: 'x', former: null, approvers: [] };
    const index = {
      stream: 'tiny',
      metadata: { 'last-modified': '' },
      releases: [{ version: released, metadata: 'x', commits, treeline }],
    };
    await writeJson(join(tiny.host.store.releasePublished('tiny'), 'releases.json'), index);
    const opened = {
      id: '20261123-1',
      phase: 'ready',
      openedBy: 'watch',
      advisories: [],
      fixes: [],
    } as const;
    const more = { embargoed: false, attempt: 1, approvals: [], needed: 1, missing: [] };
    const one: SecurityCase = {
      ...opened,
      ...more,
      build: ours,
      times: { detected: '2026-11-23T10:00:00Z' },
    };
    const waiting: SecurityCase = { ...one, id: '20261123-2', phase: 'waiting', build: undefined };
    const ended: SecurityCase = { ...waiting, id: '20261123-3', phase: 'dismissed' };
    for (const about of [waiting, ended]) {
      const run = { stream: 'tiny', run: `of-${about.id}` };
      await writeJson(fixFile(tiny.host.store, run), {
        ...{ case: about.id, base: released, attempt: 1, rebuilds: false, repos: [] },
      });
      await utimes(tiny.host.store.runDir(run), new Date(0), new Date(0));
    }
    const view = recalledView('tiny', undefined, index);
    await saveView(tiny.host.store, { ...view, security: [one, waiting, ended] });
    assert.deepEqual((await prune()).builds, ids.slice(3, 4));
    assert.equal(await exists(tiny.target('builds', released)), true);
    const runs = await readdir(tiny.s.at('store/tiny/runs'));
    assert.ok(runs.includes(`run-of-${released}`) && runs.includes(`run-of-${ours}`));
    assert.ok(runs.includes('of-20261123-2') && !runs.includes('of-20261123-3'));
    // The case has ended, and another release is the current one.
    const other = { ...index, releases: [{ ...index.releases[0], version: ids[0] }] };
    await writeJson(join(tiny.host.store.releasePublished('tiny'), 'releases.json'), other);
    await saveView(tiny.host.store, { ...view, security: [ended] });
    assert.deepEqual((await prune()).builds, [ours, released]);
  });

  it('removes the oldest builds, leaves a tombstone of each, and nothing else', async () => {
    const { builds, runs } = await prune();
    assert.deepEqual(builds, ids.slice(2));
    assert.deepEqual(
      runs,
      ids
        .slice(2)
        .map((id) => `run-of-${id}`)
        .sort(),
    );
    assert.deepEqual((await readdir(tiny.target('builds'))).sort(), ['20261123_04', '20261123_05', 'README']);
    assert.equal(await exists(tiny.target('repo/objects/aa/b.filez')), true);
    const index = await target();
    assert.deepEqual(
      index.builds.map(({ id }) => id),
      ids.slice(0, 2),
    );
    assert.deepEqual(
      index['tombstone-builds'].map(({ id }) => id),
      [...ids.slice(2), '20261121_01'],
    );
    assert.deepEqual(await readIndex(tiny.host, tiny.stream), index);
    assert.deepEqual((await readdir(tiny.s.at('store/tiny/runs'))).sort(), [
      'run-of-20261123_04',
      'run-of-20261123_05',
    ]);
    // The ids stay: none is given a second time.
    assert.equal((await readdir(tiny.s.at('store/tiny/ids'))).length, 5);
    assert.deepEqual(await prune(), { builds: [], runs: [] });
  });

  it('is done in full by the next try after one that broke off', async () => {
    await rename(tiny.target('builds'), tiny.target('aside'));
    await writeFile(tiny.target('builds'), 'in the way');
    await assert.rejects(prune());
    await rm(tiny.target('builds'));
    await rename(tiny.target('aside'), tiny.target('builds'));
    assert.deepEqual((await prune()).builds, ids.slice(2));
    assert.deepEqual((await readdir(tiny.target('builds'))).sort(), ['20261123_04', '20261123_05', 'README']);
    assert.equal((await target())['tombstone-builds'].length, 4);
  });

  it('keeps the runs of kept builds, however old', async () => {
    for (let n = 0; n < 3; n++) await tiny.s.write(`store/tiny/runs/later-${n}/run.json`, '{}');
    assert.equal((await prune()).runs.length, 4);
    const kept = await readdir(tiny.s.at('store/tiny/runs'));
    assert.equal(kept.length, 4);
    for (const id of ids.slice(0, 2)) assert.ok(kept.includes(`run-of-${id}`), id);
  });

  it('keeps a run that goes on, and where the index is damaged all of them', async () => {
    const [, , , , oldest = ''] = ids;
    alive.add(`run-of-${oldest}`);
    try {
      assert.equal((await prune()).runs.length, 2);
      assert.ok((await readdir(tiny.s.at('store/tiny/runs'))).includes(`run-of-${oldest}`));
    } finally {
      alive.clear();
    }
    await tiny.s.write('store/tiny/published/builds.json', '{"schema-version"');
    await assert.rejects(pruneRuns(tiny.host, tiny.stream, alive), /builds\.json: is not JSON/);
    assert.equal((await readdir(tiny.s.at('store/tiny/runs'))).length, 3);
  });

  it('of an index: a build is added once, newest first', async () => {
    for (let time = 0; time < 2; time++) {
      const next = await publishIndex(tiny.host, tiny.stream, '20261123_06', ['x86_64']);
      assert.deepEqual(
        next.builds.map(({ id }) => id),
        ['20261123_06', ...ids],
      );
    }
    assert.deepEqual(
      (await publishIndex(tiny.host, tiny.stream, '20261122_03', ['x86_64'])).builds.map(({ id }) => id),
      [...ids.slice(0, 3), '20261122_03', ...ids.slice(3)],
    );
    // Only `metadata` makes it the published one.
    assert.equal((await readIndex(tiny.host, tiny.stream)).builds.length, 5);
  });

  it('on a new builder starts from what the target has', async () => {
    await rm(tiny.s.at('store/tiny/published'), { recursive: true });
    assert.deepEqual(
      await readIndex(tiny.host, tiny.stream),
      JSON.parse(await readFile(tiny.target('builds.json'), 'utf8')),
    );
    await rm(tiny.target('builds.json'));
    assert.deepEqual((await readIndex(tiny.host, tiny.stream)).builds, []);
  });
});
