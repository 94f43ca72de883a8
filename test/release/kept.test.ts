/** The build of a security case, kept in the build store alone: a release finds it, and nothing that is published names it. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixActivities } from '../../src/activities/fix.js';
import { releaseActivities } from '../../src/activities/release.js';
import { buildMeta } from '../../src/domain/metadata.js';
import { releasableBuild } from '../../src/publish/releasable.js';
import { storedBuilds } from '../../src/publish/stored-builds.js';
import { fixFile } from '../../src/store/fix-record.js';
import { metasOf } from '../../src/release/check.js';
import { needJson, writeJson } from '../../src/store/store.js';
import { loadStream } from '../../src/streams/load.js';
import { serve } from '../../src/web/serve.js';
import { runActivity } from '../steps/activity.js';
import { TinyStore, type TinyBuild } from '../support/tiny-store.js';

describe('a build that is kept for a release', function () {
  const about = '20261124-1';
  for (const signed of [false, true])
    describe(signed ? 'of the line of signed builds' : 'of a stream that is released by copy', () => {
      let tiny: TinyStore;
      let made: TinyBuild;
      const line = signed ? 'tiny.signed' : 'tiny';
      const args = () => ({ stream: line, run: made.run, step: 'keep', case: about });
      const keep = () =>
        runActivity(fixActivities(tiny.host).keepFix, {
          ...args(),
          build: made.build,
          commits: { x86_64: made.commit },
          steps: [],
        });
      before(async () => {
        tiny = await TinyStore.make(['20261123_01'], signed);
        made = await tiny.build('20261124_01');
        const [base] = tiny.builds;
        const fix = { case: about, base: base?.build, attempt: 1, rebuilds: signed, repos: [] };
        await writeJson(fixFile(tiny.host.store, args()), fix);
        if (signed)
          await writeJson(join(tiny.host.store.archDir(args(), 'x86_64'), 'rebuild.json'), {
            accepted: '20261122_01',
            attempt: 1,
          });
      });
      after(() => tiny.remove());

      it('is not releasable before it is kept, and is then; done again it is the same', async () => {
        const stream = await loadStream(tiny.host.settings, line);
        const releasable = () => releasableBuild(tiny.host, tiny.s.step, stream, made.build);
        await assert.rejects(releasable(), { code: 'BuildNotReleasable' });
        await keep();
        await keep();
        const [meta] = await releasable();
        assert.equal(meta?.['ostree-commit'], made.commit);
        assert.deepEqual(meta.treeline.fix, { case: about, base: '20261123_01' });
        assert.equal(meta.treeline.rebuild?.accepted, signed ? '20261122_01' : undefined);
        const { run, metas } = await metasOf(tiny.host, stream, made.build, tiny.s.step.signal);
        assert.deepEqual([run.run, metas], [made.run, [meta]]);
        await assert.rejects(
          runActivity(fixActivities(tiny.host).keepFix, {
            ...args(),
            case: '20261124-2',
            build: made.build,
            commits: {},
            steps: [],
          }),
          {
            type: 'StreamInvalid',
            message: /is of case 20261124-1/,
          },
        );
      });

      it('is checked by a release like any other: its files count', async () => {
        await keep();
        const { settings, store } = tiny.host;
        const run = { stream: 'tiny', run: `release-${line}` };
        await writeJson(join(store.runDir(run), 'stream.json'), await loadStream(settings, 'tiny'));
        const web = await serve({ root: tiny.s.at('state/www'), port: settings.webPort });
        try {
          const check = () =>
            runActivity(releaseActivities(tiny.host).checkBuild, {
              ...{
                ...run,
                step: 'check',
                build: made.build,
                onto: null,
                decided: { decision: 'promote', build: made.build, onto: null },
              },
            });
          assert.deepEqual((await check()).commits, { x86_64: made.commit });
          const image = join(store.archDir(args(), 'x86_64'), 'build', `tiny-${made.build}.qcow2`);
          const content = await readFile(image);
          await writeFile(image, 'altered');
          await assert.rejects(check(), { type: 'BuildDamaged' });
          await writeFile(image, content);
        } finally {
          await web.close();
        }
      });

      it('is named by nothing that is published or listed', async () => {
        await keep();
        const builds = await storedBuilds(tiny.host.store, line);
        assert.deepEqual(
          builds.map(({ id }) => id),
          ['20261123_01'],
        );
        const files = await readdir(tiny.s.at('state/www'), { recursive: true, withFileTypes: true });
        for (const file of files.filter((one) => one.isFile())) {
          const path = join(file.parentPath, file.name);
          assert.ok(!path.includes(made.build), path);
          assert.ok(!(await readFile(path)).includes(made.build), path);
        }
        const folder = join(tiny.host.store.archDir(args(), 'x86_64'), 'build');
        const meta = await needJson(join(folder, 'meta.json'), buildMeta);
        assert.ok(meta.treeline.logs.length > 0);
      });
    });
});
