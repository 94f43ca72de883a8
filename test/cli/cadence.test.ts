/** `treeline cadence`: the table, its JSON, and what it says of mistakes. */
import assert from 'node:assert/strict';
import { Command } from 'commander';
import { join } from 'node:path';
import { stringify, parse } from 'yaml';
import { addCadence } from '../../src/cli/commands/cadence.js';
import { CliError } from '../../src/cli/output.js';
import type { CadenceRow } from '../../src/domain/cadence.js';
import { fromDay, toDay } from '../../src/domain/days.js';
import { Failure } from '../../src/domain/failures.js';
import { Store, writeJson } from '../../src/store/store.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, settingsOf } from '../streams/tiny-stream.js';

describe('treeline cadence', () => {
  let s: Scratch;
  const today = toDay(new Date().toISOString());
  /** The date of so many days from today. */
  const day = (days: number) => fromDay(today + days);

  before(async () => {
    s = await makeScratch('cli-cadence');
    await s.write('ada.asc', 'a key');
  });
  after(() => s.remove());

  async function declare(cadence?: Record<string, unknown>): Promise<void> {
    const declared = parse(good) as { publish: Record<string, unknown> };
    const release = { approvers: [{ name: 'Ada', key: s.at('ada.asc') }], approvals: { promote: 1 } };
    await s.write(
      'streams/tiny/stream.yaml',
      stringify({
        ...declared,
        publish: { ...declared.publish, release: { location: s.at('www'), url: 'http://127.0.0.1:1' } },
        ...(cadence ? { release: { ...release, cadence } } : {}),
      }),
    );
  }

  async function run(...args: string[]): Promise<string> {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    addCadence(program, settingsOf(s));
    for (const command of program.commands)
      command.exitOverride().configureOutput({ writeErr: () => undefined });
    const lines: string[] = [];
    const { log } = console;
    console.log = (line: string) => void lines.push(line);
    try {
      await program.parseAsync(['cadence', ...args], { from: 'user' });
    } finally {
      console.log = log;
    }
    return lines.join('\n');
  }

  it('prints past and coming dates with their upstream builds, releases and states', async () => {
    const list = [
      { number: 41, date: day(-58) },
      { number: 42, date: day(-40) },
    ];
    await declare({
      anchor: day(-83),
      upstream: {
        name: 'Fedora',
        anchor: { number: 42, date: day(-40) },
        builds: await s.write('upstream.json', JSON.stringify(list)),
        skipped: [43],
        overrides: { [day(29)]: 45 },
      },
    });
    const store = new Store(s.at('state'));
    await writeJson(join(store.releasePublished('tiny'), 'releases.json'), {
      stream: 'tiny',
      metadata: { 'last-modified': 'x' },
      releases: [
        {
          ...{ version: '20200101_01', metadata: 'm', commits: [] },
          treeline: {
            ...{ released: `${day(-50)}T12:00:00Z`, ref: 'r', page: 'p', former: null, approvers: [] },
          },
        },
      ],
    });
    const table = (await run('tiny', '--past', '3', '--coming', '2'))
      .split('\n')
      .map((line) => line.trimEnd());
    const cells = (line: string | undefined) => line?.trim().split(/ {2,}/);
    assert.deepEqual(cells(table[0]), ['DUE', 'CANDIDATES', 'FEDORA', 'KNOWN BY', 'RELEASE', 'STATE']);
    assert.deepEqual(table.slice(1).map(cells), [
      [day(-83), `from ${day(-90)}`, `39 of ${day(-86)}`, 'rule', 'missed'],
      [day(-55), `from ${day(-62)}`, `41 of ${day(-58)}`, 'list', '20200101_01', 'released late'],
      [day(-27), `from ${day(-34)}`, `42 of ${day(-40)}`, 'list', 'missed'],
      [day(1), `from ${day(-6)}`, `44 of ${day(-12)}`, 'rule', 'due'],
      [day(29), `from ${day(22)}`, `45 of ${day(2)}`, 'override', 'coming'],
    ]);
    const rows = JSON.parse(await run('tiny', '--past', '1', '--coming', '0', '--json')) as CadenceRow[];
    assert.deepEqual(rows, [
      {
        due: day(-27),
        windowFrom: day(-34),
        upstream: { number: 42, date: day(-40), from: 'list' },
        state: 'missed',
      },
    ]);
    assert.equal((await run('tiny')).split('\n').length, 1 + 3 + 6, 'dates from the anchor on');
  });

  it('refuses a stream without release dates', async () => {
    await declare();
    await assert.rejects(
      run('tiny'),
      (error: unknown) =>
        error instanceof CliError &&
        error.exitCode === 2 &&
        /^tiny: has no release dates.*`release\.cadence`/.test(error.message),
    );
  });

  it('names the field of a mistake, and the list that cannot be read', async () => {
    const upstream = { anchor: { number: 1, date: day(0) } };
    await declare({ anchor: day(0), upstream: { ...upstream, overrides: { [day(3)]: 1 } } });
    await assert.rejects(
      run('tiny'),
      (error: unknown) =>
        error instanceof Failure &&
        error.message.includes(
          `upstream.overrides.${day(3)}: no release is due then: the nearest dates are ${day(0)} and ${day(28)}`,
        ),
    );
    await declare({ anchor: day(0), upstream: { ...upstream, builds: s.at('none.json') } });
    await assert.rejects(
      run('tiny'),
      (error: unknown) =>
        error instanceof CliError &&
        error.exitCode === 2 &&
        error.message === `tiny: release.cadence.upstream.builds: ${s.at('none.json')}: no such file`,
    );
  });

  it('refuses a number of rows that is none', async () => {
    for (const number of ['-1', 'x', '501', '1.5'])
      await assert.rejects(run('tiny', `--past=${number}`), /write a number from 0 to 500/);
  });
});
