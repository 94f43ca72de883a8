/**
 * Who holds the instance's Temporal certificate, but no approver's key, can have any step run with any input. Nothing reaches readers, and
 * nothing is said in Treeline's name, that approvers have not signed for.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { announceActivities } from '../../src/activities/announce.js';
import type { ReleaseArgs } from '../../src/domain/inputs.js';
import { releaseActivities } from '../../src/activities/release.js';
import { signedReleaseActivities } from '../../src/activities/signed-release.js';
import { signActivities } from '../../src/activities/sign.js';
import { makeStatement, signStatement } from '../../src/cli/statement.js';
import type { Question } from '../../src/domain/statement.js';
import { readNotes } from '../../src/release/documents.js';
import { writeJson } from '../../src/store/store.js';
import { loadStream } from '../../src/streams/load.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import { runActivity } from '../steps/activity.js';
import { releaseRef, TinyStore } from '../support/tiny-store.js';

/** The steps that push to readers, switch, or write what a release says of itself. */
const gated = [
  'takeRelease',
  'documents',
  'pushReleaseRepo',
  'pushReleaseFiles',
  'switchRelease',
  'takeFormer',
] as const;
const afterwards = ['releaseMetadata', 'repairRelease'] as const;

describe('an operator without an approver’s key', function () {
  let tiny: TinyStore;
  let web: WebServer;
  const [first, second] = ['20261123_01', '20261123_02'] as const;
  const run = { stream: 'tiny', run: 'attack' };

  before(async () => {
    tiny = await TinyStore.make([first, second, '20261123_03']);
    const { settings, store } = tiny.host;
    web = await serve({ root: tiny.s.at('state/www'), port: settings.webPort });
    await writeJson(join(store.runDir(run), 'stream.json'), await loadStream(settings, 'tiny'));
  });
  after(async () => {
    await web.close();
    await tiny.remove();
  });

  const inputOf = (step: string, decided: Question, change: Partial<ReleaseArgs> = {}): ReleaseArgs => ({
    ...{ ...run, step, build: first, onto: null, decided },
    ...change,
  });
  const act = (
    name: (typeof gated)[number] | (typeof afterwards)[number] | 'undoRelease',
    input: ReleaseArgs,
  ): Promise<unknown> => runActivity<ReleaseArgs, unknown>(releaseActivities(tiny.host)[name], input);
  const sign = () =>
    runActivity(signActivities(tiny.host).signReleaseSummary, { ...run, step: 'sign-summary' });
  /** As the workflow would. */
  async function releaseBy(decided: Question): Promise<void> {
    const { build, onto } = decided;
    const input = (step: string) => inputOf(step, decided, { build, onto });
    await act('takeRelease', input('take'));
    await act('documents', input('documents'));
    await sign();
    for (const name of ['pushReleaseRepo', 'pushReleaseFiles', 'switchRelease', 'releaseMetadata'] as const)
      await act(name, input('release'));
  }
  const nothingIsOut = async () =>
    assert.deepEqual(await readdir(tiny.s.at('state/www/releases/tiny')).catch(() => []), []);

  /** A true statement of an approver, in the archive. */
  async function say(
    who: string,
    decision: 'promote' | 'approve',
    build: string,
    onto: string | null = null,
  ): Promise<void> {
    const folder = tiny.host.store.statements('tiny');
    await mkdir(folder, { recursive: true });
    const { commit } = tiny.builds.find((made) => made.build === build)!;
    const said = makeStatement({ stream: 'tiny', decision, build, commits: { x86_64: commit }, onto });
    const signer = { key: `${who}@example.org`, home: tiny.people.home };
    await writeFile(join(folder, `${said.nonce}.asc`), await signStatement(said, signer));
  }

  const decisions: Record<string, Question> = {
    'a promotion that nobody has signed for': { decision: 'promote', build: first, onto: null },
    'a rollback that nobody has signed for': { decision: 'rollback', build: second, onto: first },
    'the decision to announce': { decision: 'announce', build: first, onto: null },
    'the release of an attempt of another stream’s kind': {
      ...{ decision: 'release', build: first, signed: first, attempt: 1, onto: null },
    },
    'a security release without a case': { decision: 'approve-fix', build: first, signed: first, onto: null },
    'a promotion of another build': { decision: 'promote', build: second, onto: null },
    'a promotion on another release': { decision: 'promote', build: first, onto: second },
  };
  for (const [what, decided] of Object.entries(decisions))
    it(`releases nothing by ${what}`, async () => {
      for (const name of gated) {
        const changes: Partial<ReleaseArgs>[] = [{}, { onto: second }, { accepted: first }];
        for (const change of changes)
          await assert.rejects(
            act(name, inputOf(name, decided, change)),
            (error: { type?: string }) => ['StatementRefused', 'InputRefused'].includes(error.type ?? ''),
            `${name} ${JSON.stringify(change)}`,
          );
      }
      await nothingIsOut();
    });

  it('releases nothing by one approval of two, nor by those of another build', async () => {
    await say('ann', 'promote', first);
    for (const who of ['ann', 'bob']) await say(who, 'approve', second);
    for (const name of gated)
      for (const build of [first, second])
        await assert.rejects(act(name, inputOf(name, { decision: 'promote', build, onto: null })), {
          type: 'StatementRefused',
        });
    await nothingIsOut();
  });

  it('writes no metadata of what readers do not have, repairs nothing to it, and announces nothing', async () => {
    const decided: Question = { decision: 'promote', build: second, onto: null };
    for (const name of afterwards)
      await assert.rejects(act(name, inputOf(name, decided, { build: second })), { type: 'HeadMoved' });
    const announce = () =>
      runActivity(announceActivities(tiny.host).announce, { ...run, step: 'announce', build: second });
    await assert.rejects(announce(), { type: 'StatementRefused' });
    await nothingIsOut();
  });

  it('has what approvers have signed for released, with their names', async () => {
    const decided: Question = { decision: 'promote', build: second, onto: null };
    const input = (step: string) => inputOf(step, decided, { build: second });
    await act('takeRelease', input('take'));
    await act('documents', input('documents'));
    assert.deepEqual((await readNotes(tiny.host, 'tiny', second))?.approvers, ['ann', 'bob']);
  });

  it('cannot have readers returned by what a failed release leaves, nor by a repair', async () => {
    await releaseBy({ decision: 'promote', build: second, onto: null });
    const third = '20261123_03';
    for (const who of ['ann', 'bob']) await say(who, 'approve', third, second);
    await releaseBy({ decision: 'promote', build: third, onto: second });
    const head = () => readFile(tiny.s.at('state/www/releases/tiny/repo/refs/heads', releaseRef), 'utf8');
    const before = await head();
    assert.equal(before.trim(), tiny.builds.at(-1)?.commit);

    const decided: Question = { decision: 'promote', build: third, onto: second };
    await act('undoRelease', inputOf('undo', decided, { build: '20261123_09', onto: second }));
    await sign();
    for (const name of ['switchRelease', 'repairRelease'] as const)
      await assert.rejects(act(name, inputOf(name, decided, { build: third, onto: second })), {
        type: 'HeadMoved',
      });
    await assert.rejects(
      runActivity(
        signedReleaseActivities(tiny.host).undoRollback,
        inputOf('undo', decided, { build: third, onto: second }),
      ),
      { type: 'HeadMoved' },
    );
    assert.equal(await head(), before);
  });
});
