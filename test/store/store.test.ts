/** The build store's files when several write at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { Failure } from '../../src/domain/failures.js';
import {
  createExclusive,
  exists,
  needJson,
  readJson,
  readText,
  Store,
  writeJson,
  writeWhole,
} from '../../src/store/store.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const store = new URL('../../src/store/store.js', import.meta.url).href;
const buildIds = new URL('../../src/domain/build-id.js', import.meta.url).href;

describe('the build store', function () {
  let s: Scratch;
  beforeEach(async () => void (s = await makeScratch('store')));
  afterEach(() => s.remove());

  it('gives each of 8 racing processes ids of its own', async () => {
    const racer = await s.write(
      'racer.mjs',
      `import { createExclusive } from ${JSON.stringify(store)};
      import { idsOfDay } from ${JSON.stringify(buildIds)};
      const [folder, run] = process.argv.slice(2);
      process.stdin.once('data', async () => {
        const mine = [];
        for (const id of idsOfDay(new Date('2026-11-23T00:00:00Z')))
          if (mine.length < 5 && (await createExclusive(folder + '/ids/' + id, run + '\\n'))) mine.push(id);
        console.log(JSON.stringify(mine));
        process.exit();
      });
      console.log('ready');`,
    );
    const racers = Array.from({ length: 8 }, (_, i) => {
      const child = spawn(process.execPath, [racer, s.folder, `run-${i}`], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let output = '';
      let ready: () => void;
      const isReady = new Promise<void>((resolve) => (ready = resolve));
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.startsWith('ready\n')) ready();
      });
      const end = new Promise<string[]>((resolve) =>
        child.once('close', () => resolve(JSON.parse(output.slice(6)) as string[])),
      );
      return { isReady, end, go: () => child.stdin.write('go\n') };
    });
    await Promise.all(racers.map((racer) => racer.isReady));
    for (const { go } of racers) go();
    const taken = await Promise.all(racers.map(({ end }) => end));
    assert.equal(new Set(taken.flat()).size, 40);
    assert.deepEqual((await readdir(s.at('ids'))).length, 40);
    for (const [i, ids] of taken.entries())
      for (const id of ids) assert.equal(await readFile(s.at('ids', id), 'utf8'), `run-${i}\n`);
  });

  it('never replaces what is there, and says so', async () => {
    assert.equal(await createExclusive(s.at('a/b'), 'first'), true);
    assert.equal(await createExclusive(s.at('a/b'), 'second'), false);
    assert.equal(await readText(s.at('a/b')), 'first');
    await assert.rejects(createExclusive(s.at('a/b/c'), 'x'), { code: /ENOTDIR|EEXIST/ });
  });

  it('shows readers nothing of a created file, or all of it', async () => {
    const content = 'x'.repeat(300_000);
    const state = { writing: true };
    const seen = new Set<string | undefined>();
    const reader = (async () => {
      while (state.writing) for (let n = 0; n < 8; n++) seen.add(await readText(s.at('new', String(n))));
    })();
    const names = Array.from({ length: 32 }, (_, n) => s.at('new', String(n % 8)));
    const created = await Promise.all(names.map((name) => createExclusive(name, content)));
    state.writing = false;
    await reader;
    seen.delete(undefined);
    seen.delete(content);
    assert.deepEqual([...seen], []);
    assert.equal(created.filter(Boolean).length, 8);
    assert.equal((await readdir(s.at('new'))).length, 8);
  });

  it('shows readers the old content or the new, whatever number of steps writes at once', async () => {
    const file = s.at('sub/folder/file');
    const contents = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(300_000));
    await writeWhole(file, contents[0]!);
    const state = { writing: true };
    const seen = new Set<string>();
    const reader = (async () => {
      while (state.writing) seen.add(await readFile(file, 'utf8'));
    })();
    await Promise.all(contents.map((content) => writeWhole(file, content)));
    state.writing = false;
    await reader;
    for (const content of seen)
      assert.ok(contents.includes(content), `${content.length} characters that nobody wrote`);
    assert.ok(contents.includes((await readText(file))!));
    assert.deepEqual(await readdir(s.at('sub/folder')), ['file']);
  });

  it('leaves the old content and nothing else when a write fails', async () => {
    await s.write('folder/inside/file', 'kept');
    await assert.rejects(writeWhole(s.at('folder/inside'), 'x'), { code: 'EISDIR' });
    assert.deepEqual(await readdir(s.at('folder')), ['inside']);
    const small = 'mkdir t && mount -t tmpfs -o size=64k none t && exec "$0" -e "$1"';
    const program = `
      const { createExclusive, writeWhole } = await import(${JSON.stringify(store)});
      const { readFileSync, readdirSync } = await import('node:fs');
      await writeWhole('t/file', 'old');
      for (const [write, file] of [[writeWhole, 't/file'], [createExclusive, 't/new']]) {
        const code = await write(file, 'x'.repeat(200000)).then(() => 'none', (error) => error.code);
        console.log(code, readFileSync('t/file', 'utf8'), readdirSync('t').join());
      }`;
    const { stdout } = await s.step.run(['sh', '-c', small, process.execPath, `(async()=>{${program}})()`], {
      cwd: s.folder,
    });
    assert.equal(stdout, 'ENOSPC old file\n'.repeat(2));
  });

  it('names the file that is damaged, and what is wrong with it', async () => {
    const schema = z.object({ n: z.int() });
    const file = s.at('x.json');
    for (const [content, what] of [
      ['', 'is not JSON: it is empty'],
      ['{"n": ', 'is not JSON: Unexpected end of JSON input'],
      ['{"n": "1"}', 'does not match its schema: n: Invalid input: expected number, received string'],
    ] as const) {
      await s.write('x.json', content);
      await assert.rejects(
        readJson(file, schema),
        (error: unknown) =>
          error instanceof Failure && error.code === 'StoreDamaged' && error.message === `${file}: ${what}`,
      );
    }
    await writeJson(file, { n: 1 });
    assert.deepEqual(await readJson(file, schema), { n: 1 });
  });

  it('tells a missing file from an unreadable one', async () => {
    assert.equal(await readText(s.at('none')), undefined);
    assert.equal(await readJson(s.at('none'), z.unknown()), undefined);
    assert.equal(await exists(s.at('none')), false);
    await assert.rejects(readText(s.folder), { code: 'EISDIR' });
    await assert.rejects(
      needJson(s.at('none'), z.unknown()),
      /none: missing, although an earlier step wrote it/,
    );
  });

  it('knows ids, newest first, and whose they are', async () => {
    const own = new Store(s.folder);
    assert.deepEqual(await own.ids('tiny'), []);
    // What a crash may leave is no id.
    await s.write('store/tiny/ids/20261123_03.tmp', 'run');
    for (const id of ['20261123_02', '20261122_10', '20261123_01'])
      await s.write(`store/tiny/ids/${id}`, `run of ${id}\n`);
    assert.deepEqual(await own.ids('tiny'), ['20261123_02', '20261123_01', '20261122_10']);
    assert.equal(await own.runOf('tiny', '20261122_10'), 'run of 20261122_10');
    assert.equal(await own.runOf('tiny', '20261122_11'), undefined);
  });
});
