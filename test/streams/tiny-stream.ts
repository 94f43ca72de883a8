/** A stream file to break, and the problems that are found in one. */
import assert from 'node:assert/strict';
import { Failure } from '../../src/domain/failures.js';
import type { Stream } from '../../src/domain/stream.js';
import { readSettings, type Settings } from '../../src/settings.js';
import { loadStream } from '../../src/streams/load.js';
import type { Scratch } from '../steps/scratch.js';

export const good = `name: tiny
title: Tiny
treefile: treefile.yaml
ref: tiny/\${arch}/standard
osname: tiny
releasever: '1'
composer: dnf
repos:
  - id: base
    baseurl: \${web}/rpms
    gpgKeys: [keys/base.asc, /abs/other.asc]
images:
  - kind: qcow2
    size: 2GiB
signingKey: \${state}/keys/treeline.asc
schedule:
  cron: 30 2 * * *
publish:
  buildlogs:
    location: \${state}/www/tiny
    url: \${web}/tiny
`;

export const settingsOf = (s: Scratch): Settings =>
  readSettings({
    TREELINE_STREAMS: s.at('streams'),
    TREELINE_STATE: s.at('state'),
    TREELINE_WEB_PORT: '8999',
  });

export async function load(s: Scratch, content: string): Promise<Stream> {
  await s.write('streams/tiny/stream.yaml', content);
  return loadStream(settingsOf(s), 'tiny');
}

/** The problems of a file, each without the file's path. */
export async function problems(s: Scratch, content: string): Promise<string[]> {
  const error: unknown = await load(s, content).then(
    () => assert.fail('was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, 'StreamInvalid');
  return error.message.split('\n').map((line) => {
    const at = line.indexOf('stream.yaml:');
    assert.ok(at > 0, `no file in: ${line}`);
    return line.slice(at + 'stream.yaml:'.length);
  });
}
