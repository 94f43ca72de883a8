/** Reading stream files as a whole; single mistakes are in mistakes.test.ts. */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { readSettings } from '../../src/settings.js';
import { listStreams, loadStream } from '../../src/streams/load.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, load, problems, settingsOf } from './tiny-stream.js';

describe('stream files', () => {
  let s: Scratch;
  beforeEach(async () => void (s = await makeScratch('streams')));
  afterEach(() => s.remove());

  it('are read with defaults, variables filled in and paths made absolute', async () => {
    const stream = await load(s, good);
    const folder = s.at('streams/tiny');
    assert.equal(stream.treefile, `${folder}/treefile.yaml`);
    assert.deepEqual(stream.repos[0]!.gpgKeys, [`${folder}/keys/base.asc`, '/abs/other.asc']);
    assert.equal(stream.signingKey, s.at('state/keys/treeline.asc'));
    assert.equal(stream.repos[0]!.baseurl, 'http://127.0.0.1:8999/rpms');
    assert.deepEqual(stream.publish.buildlogs, {
      location: s.at('state/www/tiny'),
      url: 'http://127.0.0.1:8999/tiny',
    });
    assert.equal(stream.ref, 'tiny/${arch}/standard');
    assert.equal(stream.retention.builds, 14);
  });

  it('name all mistakes in one pass, sorted by line, also those of different sorts', async () => {
    const bad = good
      .replace('name: tiny', 'name: other')
      .replace('composer: dnf', 'composer: yum')
      .replace('${web}/rpms', 'http://${nothing}/')
      .replace('kind: qcow2', 'kind: qcow3')
      .replace('2GiB', 'big')
      .replace('30 2 * * *', 'daily')
      .replace('    url: ${web}/tiny\n', '');
    const found = await problems(s, bad);
    assert.deepEqual(
      found.map((line) => line.split(': ', 2).join(': ')),
      [
        '1: name',
        '7: composer',
        '10: repos.0.baseurl',
        '13: images.0.kind',
        '14: images.0.size',
        '17: schedule.cron',
        '19: publish.buildlogs.url',
      ],
    );
  });

  it('that are no map at all are refused with their place', async () => {
    for (const content of ['', '- a\n', 'just text\n', '42\n'])
      assert.match((await problems(s, content)).join('\n'), /^1: \(file\): .*expected object/);
    assert.match((await problems(s, '---\na: 1\n---\nb: 2\n')).join('\n'), /multiple documents/i);
  });

  it('may not hold a bomb of aliases', async () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'b c d e f g h'.split(' ').map(
        (c, i) =>
          `${c}: &${c} [${Array(9)
            .fill(`*${'abcdefg'.charAt(i)}`)
            .join(',')}]`,
      ),
    ].join('\n');
    assert.match((await problems(s, bomb)).join('\n'), /alias/i);
  });

  it('are listed sorted; a folder without one is none, and a wrong name is answered with those that there are', async () => {
    await load(s, good);
    await s.write('streams/empty/treefile.yaml', '');
    await s.write('streams/another/stream.yaml', stringify({ name: 'another' }));
    assert.deepEqual(await listStreams(settingsOf(s)), ['another', 'tiny']);
    await assert.rejects(
      loadStream(settingsOf(s), 'tinny'),
      /^Failure: tinny: no such stream\. There are: another, tiny\. Did you mean `tiny`\?$/,
    );
    await assert.rejects(loadStream(settingsOf(s), '../tiny'), /no such stream/);
    await assert.rejects(
      listStreams({ ...settingsOf(s), streams: s.at('nowhere') }),
      /nowhere: no such folder\. Set TREELINE_STREAMS to the folder of the stream declarations\.$/,
    );
  });
});

describe('the shipped streams', () => {
  const settings = readSettings({});
  it('are four', async () =>
    assert.deepEqual(await listStreams(settings), [
      'atomic-host',
      'projectatomic',
      'sample',
      'sample-signed',
    ]));
  for (const name of ['atomic-host', 'projectatomic', 'sample', 'sample-signed'])
    it(`${name} is valid`, async () => assert.equal((await loadStream(settings, name)).name, name));
});
