/** Files that are none, or too much of one, end with an error at once. */
import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { readFileBytes, readFileText } from '../../src/steps/read-file.js';
import { makeScratch, type Scratch } from './scratch.js';

describe('a file that a person wrote', () => {
  let s: Scratch;
  before(async () => void (s = await makeScratch('read-file')));
  after(() => s.remove());

  const refused = (path: string, message: RegExp) =>
    assert.rejects(readFileText(path), { code: 'StreamInvalid', message });

  it('is read as text, without its byte order mark, also behind a link', async () => {
    await writeFile(s.at('bom'), '\ufeffä\r\n');
    await symlink('bom', s.at('link'));
    assert.equal(await readFileText(s.at('link')), 'ä\r\n');
    assert.equal((await readFileBytes(s.at('bom'))).length, 7);
  });

  it('is a regular one', async () => {
    await s.step.run(['mkfifo', s.at('fifo')]);
    await symlink('loop', s.at('loop'));
    const server = createServer().listen(s.at('socket'));
    await once(server, 'listening');
    await refused(s.at('fifo'), /fifo: is not a regular file/);
    await refused(s.at('loop'), /loop: is a link that leads to itself/);
    await refused(s.at('socket'), /socket: is not a regular file/);
    server.close();
    await refused(s.folder, /is a folder, not a file/);
    await refused('/dev/zero', /dev\/zero: is not a regular file/);
    await refused(s.at('none'), /none: no such file/);
  });

  it('is not larger than it may be, also where its size is not told', async () => {
    await writeFile(s.at('large'), 'x'.repeat(256 * 1024 + 1));
    await refused(s.at('large'), /large: is larger than 256 KiB/);
    await s.step.run(['truncate', '--size', '1T', s.at('huge')]);
    await refused(s.at('huge'), /huge: is larger than 256 KiB/);
    await assert.rejects(readFileBytes('/proc/kallsyms', 1024), { message: /larger than 1 KiB/ });
  });

  it('is UTF-8: another encoding is named with its line', async () => {
    await writeFile(s.at('latin1'), Buffer.from('a\nb\nfür\n', 'latin1'));
    await refused(s.at('latin1'), /latin1:3: is not UTF-8 text: save it in that encoding/);
    await writeFile(s.at('utf16'), Buffer.from('\ufeffa: b\n', 'utf16le'));
    await refused(s.at('utf16'), /utf16:1: is not UTF-8/);
  });
});
