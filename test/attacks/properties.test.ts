/** What holds for every input, tried with many: names, paths, statements, news and build ids. A failure prints the input and its seed. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lstat, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { tmpfilesLine } from '../../src/composers/dnf/tmpfiles.js';
import { buildId, compareIds, idsOfDay } from '../../src/domain/build-id.js';
import { Failure } from '../../src/domain/failures.js';
import * as names from '../../src/domain/names.js';
import { readStatement } from '../../src/domain/statement.js';
import { parseNews } from '../../src/reimzul/job.js';
import { inRoot } from '../../src/steps/in-root.js';

/** Texts of what attacks are made of, and of what names are made of; and any text at all. */
const parts = [
  ...['..', '.', '/', '\\', '~', '-', '--', ' ', '\n', '\0', '\r', '\t', '%2e', '$(id)', '`', ';', '|', '*', '"', "'", '<', '>', '@', ':'],
  ...['__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty', 'a', 'Z', '0', '_', '+', '^', '.src.rpm', 'é', '\u202e', '日'],
  ...['20261123', '_01', '1-1.x86_64', 'x86_64', '.signed', '0'.repeat(32), 'f'.repeat(64)],
]; // prettier-ignore
const text = fc.oneof(
  fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 6 }).map((some) => some.join('')),
  fc.constantFrom(...parts),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

/** Become file names, arguments, parts of URLs, or keys. */
const ids = {
  ...{ name: names.name, lineName: names.lineName, runId: names.runId, stepId: names.stepId },
  ...{ kindName: names.kindName, caseId: names.caseId, nonce: names.nonce, packageName: names.packageName },
  ...{ packageVersion: names.packageVersion, packageEvra: names.packageEvra, srpmFile: names.srpmFile },
  ...{ advisoryId: names.advisoryId, sha256: names.sha256, architecture: names.architecture, buildId },
};

/** The pattern that a schema begins with. */
function patternOf(schema: z.ZodType): RegExp {
  const { pattern } = z.toJSONSchema(schema);
  return new RegExp(pattern ?? '^x86_64$');
}

// Repeatable. Another seed finds other inputs; a long look: TREELINE_TEST_SEED=$RANDOM.
fc.configureGlobal({ seed: Number(process.env['TREELINE_TEST_SEED'] ?? 20261127) });

describe('whatever comes in', () => {
  for (const [what, schema] of Object.entries(ids))
    it(`${what}: what is accepted is one file name, no option, and no key that every object has`, () => {
      // What fits is rare among the texts above: the id's own pattern makes more.
      const fitting = fc.oneof(text, fc.stringMatching(patternOf(schema)));
      let accepted = 0;
      fc.assert(
        fc.property(fitting, (value) => {
          if (!schema.safeParse(value).success) return;
          accepted += 1;
          assert.equal(resolve('/store', value), `/store/${value}`);
          assert.equal(basename(value), value);
          assert.match(value, /^[\x21-\x7e]{1,255}$/);
          assert.doesNotMatch(value, /^-|[\\/"'`$;|&<>*?()[\]{}]/);
          assert.ok(!(value in {}), 'a key that every object has');
        }),
        { numRuns: 500 },
      );
      assert.ok(accepted > 0);
    });

  it('an accepted mailbox, URL or plain word is one line and no option', () => {
    for (const schema of [names.mailbox, names.httpUrl, names.plain, names.refTemplate])
      fc.assert(
        fc.property(
          fc.oneof(
            text,
            text.map((some) => `https://${some}`),
            text.map((some) => `a@${some}`),
          ),
          (value) => {
            if (!schema.safeParse(value).success) return;
            assert.doesNotMatch(value, /[\r\n\0]/);
            assert.doesNotMatch(value, /^-/);
          },
        ),
        { numRuns: 500 },
      );
  });

  it('a statement is read or refused in one line, and what is read says what was written', () => {
    const fields = fc.record(
      {
        decision: fc.oneof(
          fc.constantFrom('promote', 'approve', 'release', 'rework', 'report', 'fix', 'rollback'),
          text,
        ),
        stream: fc.oneof(fc.constant('sample'), text),
        build: fc.oneof(fc.constant('20261123_01'), text),
        onto: fc.oneof(fc.constant(null), text),
        at: fc.oneof(fc.constant('2026-11-23T10:00:00.000Z'), text),
        nonce: fc.oneof(fc.constant('0'.repeat(32)), text),
        reason: text,
        extra: fc.anything(),
      },
      { requiredKeys: ['decision'] },
    );
    fc.assert(
      fc.property(fc.oneof(fields, fc.jsonValue(), fc.anything()), (value) => {
        const { said, mistake } = readStatement(value);
        if (said) assert.deepEqual(readStatement(JSON.parse(JSON.stringify(said))).said, said);
        else assert.match(mistake, /^[^\r\n]+$/);
      }),
      { numRuns: 1000 },
    );
  });

  it('news of reimzul is read or foreign: nothing that comes through the queue stops its reader', () => {
    const news = fc.record(
      {
        status: fc.oneof(fc.constantFrom('Success', 'Building'), text),
        srpm: fc.oneof(fc.constant('a-1-1.src.rpm'), text),
        arch: fc.oneof(fc.constant('x86_64'), text),
        target: text,
        treeline: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.oneof(fc.jsonValue(), news).map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(body, (bytes) => {
        const read = parseNews(bytes);
        if ('foreign' in read) assert.match(read.foreign, /^[\x20-\x7e]{1,300}$/);
        else assert.equal(basename(read.srpm), read.srpm);
      }),
      { numRuns: 1000 },
    );
  });

  it('a line of tmpfiles.d stays one line', () => {
    fc.assert(
      fc.property(text, text, (path, target) => {
        const line = tmpfilesLine({ type: 'L', path: `/var/${path}`, target });
        assert.doesNotMatch(line, /[\x00-\x08\n\r]/);
        assert.ok(line.startsWith('L '));
      }),
    );
  });

  it('build ids sort as the builds were made', () => {
    const day = fc.date({ min: new Date('2014-01-01'), max: new Date('2099-12-31'), noInvalidDate: true });
    const made = fc.tuple(day, fc.integer({ min: 0, max: 98 }));
    fc.assert(
      fc.property(made, made, ([one, m], [other, n]) => {
        const [a, b] = [[...idsOfDay(one)][m] ?? '', [...idsOfDay(other)][n] ?? ''];
        assert.ok(buildId.safeParse(a).success);
        const days = [one, other].map((date) => date.toISOString().slice(0, 10));
        const earlier = days[0] === days[1] ? m - n : (days[0] ?? '') < (days[1] ?? '') ? -1 : 1;
        assert.equal(Math.sign(compareIds(a, b)), -Math.sign(earlier));
      }),
    );
  });

  describe('a path in a tree', () => {
    let root: string;
    before(async () => {
      root = await realpath(await mkdtemp(join(tmpdir(), 'treeline-properties-')));
      await mkdir(join(root, 'a/b/c'), { recursive: true });
      await writeFile(join(root, 'a/file'), '');
      const links = {
        ...{ up: '../../../../../../..', absolute: '/etc', top: '/', inside: 'a/b', file: '/a/file' },
        ...{
          loop: 'loop',
          ping: 'pong',
          pong: 'ping',
          'a/up': '..',
          'a/far': '../../..',
          'a/b/back': '/a/../../a',
        },
      };
      for (const [name, target] of Object.entries(links)) await symlink(target, join(root, name));
    });
    after(() => rm(root, { recursive: true, force: true }));

    it('is below its root, without a link on the way', async () => {
      const known = [
        'up',
        'absolute',
        'top',
        'inside',
        'file',
        'loop',
        'ping',
        'far',
        'back',
        'a',
        'b',
        'c',
        'etc',
        'passwd',
      ];
      const part = fc.constantFrom(...known, '..', '..', '.', '');
      const path = fc.array(part, { maxLength: 12 }).map((some) => some.join('/'));
      await fc.assert(
        fc.asyncProperty(path, fc.boolean(), async (given, follow) => {
          const found = await inRoot(root, given, { follow }).catch((error: unknown) => error);
          if (found instanceof Failure) return assert.match(found.message, /circle/);
          assert.ok(typeof found === 'string');
          assert.ok(found === root || found.startsWith(`${root}/`), found);
          // Up to the first part that is not there, it is what the kernel finds without following anything.
          for (
            let place = follow ? found : dirname(found);
            place.length > root.length;
            place = dirname(place)
          ) {
            const info = await lstat(place).catch(() => undefined);
            assert.ok(!info?.isSymbolicLink(), place);
          }
        }),
        { numRuns: 1000 },
      );
    });
  });
});
