/**
 * Whoever reaches the Temporal port can start any activity with any input. None of these is looked at further than its form: each is
 * refused for good, before anything is written, with a message that does not repeat what was sent.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { activitiesOf, type Role } from '../../src/activities/index.js';
import { readSettings } from '../../src/settings.js';
import { Store } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

/** What no id of any kind may be. */
const hostile: readonly unknown[] = [
  '', '.', '..', '../x', '../../../etc/passwd', '/etc/passwd', 'a/../../b', 'a/b', 'a\\b', '%2e%2e', '~root', '--help', '-rf', '-',
  'a b', 'a\nb', 'a\0b', 'a;id', '$(id)', '`id`', '*', '?', '[a]', "a'b", 'a"b', '__proto__/x', 'é', '\u202egpj', 'x'.repeat(5000),
  null, 0, -1, 1.5, true, [], ['sample'], {}, { toString: 'x' },
]; // prettier-ignore

/** Fields that name something, wherever an activity has them. */
const ids = ['stream', 'run', 'step'] as const;
/** These are no steps. */
const unlogged = ['record', 'cleanUp', 'cleanUpRelease'];
const good = { stream: 'sample', run: 'r', step: 'any' };

type Activities = Record<string, (input: unknown) => Promise<unknown>>;
const activitiesIn = (state: string): Activities => {
  const host = { settings: readSettings({ TREELINE_STATE: state }), store: new Store(state) };
  return Object.assign(
    {},
    ...(Object.keys(activitiesOf) as Role[]).map((role) => activitiesOf[role](host)),
  ) as Activities;
};

describe('attacks: inputs of activities', () => {
  let s: Scratch;
  let all: Activities;
  before(async () => {
    s = await makeScratch('attack-inputs');
    all = activitiesIn(s.at('state'));
  });
  after(() => s.remove());

  const refused = async (name: string, input: unknown) => {
    const run = all[name] ?? assert.fail(`no activity ${name}`);
    await assert.rejects(runActivity(run, input), (error: unknown) => {
      const { type, nonRetryable, message } = error as {
        type: string;
        nonRetryable: boolean;
        message: string;
      };
      assert.deepEqual(
        [type, nonRetryable],
        ['InputRefused', true],
        `${name} ${JSON.stringify(input ?? null).slice(0, 100)}`,
      );
      assert.doesNotMatch(message, /passwd|\$\(id\)|xxxxx/, 'the input is not repeated');
      return true;
    });
  };

  for (const name of Object.keys(activitiesIn('/none'))) {
    it(`${name} takes no stream, run or step that is a path, an option or no text`, async () => {
      for (const input of [undefined, null, 'text', 7, [], {}]) await refused(name, input);
      for (const id of ids.filter((field) => field !== 'step' || !unlogged.includes(name)))
        for (const value of hostile) await refused(name, { ...good, [id]: value });
      assert.deepEqual(await readdir(s.at('state')).catch(() => []), [], 'nothing was written');
    });
  }
});
