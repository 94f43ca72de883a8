/** What commands print, on its way into a step's log. */
import type { Readable, Writable } from 'node:stream';
import { mask } from '../domain/secrets.js';

/** A line that is longer is written in parts. */
const longestLine = 64 * 1024;
/** Kept back of such a line, so that no secret is cut in two. */
const overlap = 4096;

/**
 * Copies an output into the log as it comes, line by line and masked; all other bytes stay as they are. A slow log holds the command
 * back: memory stays bounded. Answers what writes the last line, for when the command has ended.
 */
export function copyMasked(output: Readable, log: Writable): () => void {
  // Latin-1 keeps every byte, be it UTF-8 or not.
  let rest = '';
  const write = (text: string) => log.destroyed || text === '' || log.write(Buffer.from(text, 'latin1'));
  const resume = () => {
    log.off('drain', resume).off('close', resume);
    output.resume();
  };
  output.on('data', (chunk: Buffer) => {
    const text = rest + chunk.toString('latin1');
    const end = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r')) + 1;
    let whole = mask(text.slice(0, end));
    rest = text.slice(end);
    if (rest.length > longestLine) {
      rest = mask(rest);
      whole += rest.slice(0, -overlap);
      rest = rest.slice(-overlap);
    }
    if (write(whole)) return;
    output.pause();
    log.once('drain', resume).once('close', resume);
  });
  return () => void write(mask(rest));
}
