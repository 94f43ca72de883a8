/** `release.security` in stream files: what it means, and its mistakes. */
import assert from 'node:assert/strict';
import { watchCron } from '../../src/domain/security-settings.js';
import { duration } from '../../src/domain/units.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, load, problems } from '../streams/tiny-stream.js';

describe('security settings', () => {
  let s: Scratch;
  before(async () => void (s = await makeScratch('security-settings')));
  after(() => s.remove());
  const stream = (security: string, more = '') => `${good}  release:
    location: \${state}/www/release
    url: \${web}/release
release:
  approvers:
    - {name: Ada, key: ada.asc}
    - {name: Ben, key: ben.asc}
    - {name: Cyd, key: cyd.asc}
${more}  security: ${security}
`;

  it('have defaults, and paths beside the stream file', async () => {
    const { release } = await load(s, stream('{}'));
    assert.deepEqual(release?.security, {
      ...{ watch: 3600, severity: 'important', core: 'any', join: 300, advisories: [], approvers: [] },
      ...{ to: [], remindEvery: 900 },
    });
    const loaded = await load(s, stream('{advisories: [osv, /abs.json, "https://example.org/x.json"]}'));
    assert.deepEqual(loaded.release?.security?.advisories, [
      ...[s.at('streams/tiny/osv'), '/abs.json', 'https://example.org/x.json'],
    ]);
  });

  const mistake = (title: string, security: string, expected: RegExp, more?: string) =>
    it(title, async () => {
      const found = await problems(s, stream(security, more));
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0]!, expected);
    });
  mistake(
    'name who of the group is no approver',
    '{approvers: [Ada, Bob]}',
    /release\.security\.approvers\.1: Bob is none of `release\.approvers`: Ada, Ben, Cyd$/,
  );
  mistake(
    'name who is in the group twice',
    '{approvers: [Ada, Ada]}',
    /release\.security\.approvers\.1: listed twice/,
  );
  mistake(
    'want no more approvals than the group can give',
    '{approvers: [Ada]}',
    /release\.approvals\.fix: 2 approvals are needed, but there are 1 in `release\.security\.approvers`: lower it or add some$/,
    '  approvals: {fix: 2}\n',
  );
  mistake(
    'want no more approvals than there are approvers',
    '{}',
    /release\.approvals\.fix: 4 approvals are needed, but there are 3 approvers/,
    '  approvals: {fix: 4}\n',
  );
  mistake(
    'want a mail server for their mails',
    '{to: [sec@example.org]}',
    /release\.mail: missing: `security\.to` has recipients/,
  );
  for (const watch of ['90s', '7m', '45m', '90m', '5h', '2d'])
    mistake(
      `refuse a watch every ${watch}`,
      `{watch: ${watch}}`,
      /release\.security\.watch: write minutes that divide an hour or hours that divide a day/,
    );
  mistake(
    'refuse a word that is no severity',
    '{severity: high}',
    /release\.security\.severity: write one of: none, low, moderate, important, critical/,
  );

  it('need a place for releases', async () => {
    const without = stream('{}').replace(/ {2}release:\n.*\n.*\n/, '');
    assert.match(
      (await problems(s, without)).join('\n'),
      /publish\.release: missing: `release` needs a location/,
    );
  });

  it('make a schedule of what they allow', () => {
    const crons = ['1m', '15m', '60m', '1h', '6h', '1d'].map((text) => watchCron(duration.parse(text)));
    assert.deepEqual(crons, [
      '*/1 * * * *',
      '*/15 * * * *',
      '7 */1 * * *',
      '7 */1 * * *',
      '7 */6 * * *',
      '7 0 * * *',
    ]);
  });
});
