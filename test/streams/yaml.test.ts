/** Hostile and broken YAML ends with one clear error, quickly. */
import assert from 'node:assert/strict';
import { parseYaml } from '../../src/streams/yaml.js';

describe('YAML that people write', () => {
  const refused = (title: string, text: string, message: RegExp) =>
    it(`is refused: ${title}`, () => {
      const before = process.cpuUsage();
      assert.throws(() => parseYaml('f.yaml', text), { code: 'StreamInvalid', message });
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 5_000_000, `${user + system} µs of processor time`);
    });

  // The library alone overflows the stack at these, and takes Node.js with it at the longer ones.
  refused(
    '100,000 nested lists',
    `a:\n${'['.repeat(100_000)}`,
    /^f\.yaml:2: is nested too deeply: more than 64/,
  );
  refused('100,000 nested maps', '{a: '.repeat(100_000), /^f\.yaml:1: is nested too deeply/);
  refused('100,000 nested block lists', `- `.repeat(100_000), /^f\.yaml:1: is nested too deeply/);
  refused(
    'maps in maps by indentation',
    Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    /^f\.yaml:\d+: is nested too deeply/,
  );
  // It compares each key with all others.
  refused(
    '60,000 keys',
    Array.from({ length: 60_000 }, (_, i) => `k${i}: v`).join('\n'),
    /^f\.yaml:5\d\d\d: has more than 5000 entries/,
  );
  refused(
    'a bomb of aliases',
    [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'
        .split('')
        .map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`),
    ].join('\n'),
    /^f\.yaml:1: .*alias/,
  );
  refused('a list that has itself', 'b: 1\na: &a [*a]\n', /^f\.yaml:2: `\*a` refers to itself/);
  refused('a map that has itself', 'a: &a {b: {c: *a}}\n', /^f\.yaml:1: `\*a` refers to itself/);
  refused('an alias to nothing', 'a: 1\nb: *none\n', /^f\.yaml:2: unresolved alias `\*none`.*needs quotes/);
  refused('a key given twice', 'a: 1\nb: 2\na: 3\n', /^f\.yaml:3: .*unique/);
  refused('a tab as indentation', 'a:\n\tb: 1\n', /^f\.yaml:2: .*tab/i);
  refused('several documents', 'a: 1\n---\nb: 1\n', /^f\.yaml:\d: .*multiple documents/);
  refused('a quote that is not closed', 'a: 1\nb: "x\n', /^f\.yaml:\d: .*quote/);

  it('is read with CR LF, and with the line of each field', () => {
    const { value, lineOf } = parseYaml('f.yaml', 'a: 1\r\nb:\r\n  - c: x\r\n  - d: y\r\n');
    assert.deepEqual(value, { a: 1, b: [{ c: 'x' }, { d: 'y' }] });
    assert.deepEqual(
      [['a'], ['b', 1], ['b', 1, 'd'], ['b', 1, 'gone'], ['gone']].map((path) => lineOf(path)),
      [1, 4, 4, 4, 1],
    );
  });

  it('may use an anchor more than once', () =>
    assert.deepEqual(parseYaml('f.yaml', 'a: &a [x]\nb: *a\nc: *a\n').value, {
      a: ['x'],
      b: ['x'],
      c: ['x'],
    }));
});
