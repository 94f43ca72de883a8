/** Lines of an output, however it arrives. */
import assert from 'node:assert/strict';
import { makeScratch, type Scratch } from './scratch.js';

describe('onLine', function () {
  let s: Scratch;
  before(async () => void (s = await makeScratch('lines')));
  after(() => s.remove());

  /** Lines of a program that writes these pieces one by one, with a pause after each. */
  async function linesOf(pieces: (string | number[])[], to = 'stdout'): Promise<string[]> {
    const bytes = pieces.map((piece) => Buffer.from(piece as string).toString('base64'));
    const script = await s.write(
      'pieces.mjs',
      `for (const piece of ${JSON.stringify(bytes)}) {
        process.${to}.write(Buffer.from(piece, 'base64'));
        await new Promise((resolve) => setTimeout(resolve, 60));
      }`,
    );
    const lines: string[] = [];
    await s.step.run([process.execPath, script], { onLine: (line) => lines.push(line) });
    return lines;
  }

  it('come whole when they arrive in pieces, the last one without an end too', async () => {
    assert.deepEqual(await linesOf(['on', 'e\ntw', 'o\n', 'three']), ['one', 'two', 'three']);
  });

  it('keep characters whose bytes arrive apart', async () => {
    const [euro, clef] = [[...Buffer.from('€')], [...Buffer.from('𝄞')]];
    assert.deepEqual(
      await linesOf([
        [...Buffer.from('a'), ...euro.slice(0, 1)],
        euro.slice(1),
        clef.slice(0, 3),
        [...clef.slice(3), 10],
      ]),
      ['a€𝄞'],
    );
    assert.deepEqual(await linesOf([euro.slice(0, 2)]), ['\ufffd']);
  });

  it('end at carriage returns too, without empty lines', async () => {
    assert.deepEqual(await linesOf(['10%\r20', '%\r\n', '\n\r30%\r']), ['10%', '20%', '30%']);
  });

  it('come from standard error too', async () => {
    assert.deepEqual(await linesOf(['oops\n'], 'stderr'), ['oops']);
  });

  it('of the two outputs never run into each other', async () => {
    const script = await s.write(
      'both.mjs',
      `const pause = () => new Promise((resolve) => setTimeout(resolve, 80));
      process.stdout.write('pack'); await pause();
      process.stderr.write('warning: x\\n'); await pause();
      process.stdout.write('ages 3/9\\n');`,
    );
    const lines: string[] = [];
    await s.step.run([process.execPath, script], { onLine: (line) => lines.push(line) });
    assert.deepEqual(lines.sort(), ['packages 3/9', 'warning: x']);
  });
});
