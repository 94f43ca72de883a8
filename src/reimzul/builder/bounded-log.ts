/** A log file that a talkative build cannot fill the disk with. */
import { createWriteStream } from 'node:fs';
import { Transform } from 'node:stream';
import { finished } from 'node:stream/promises';

export interface BoundedLog {
  readonly stream: Transform;
  /** Waits until all is in the file. */
  close(): Promise<void>;
}

/** What comes after `bytes` is dropped, and the file says so at its end. */
export function boundedLog(file: string, bytes: number): BoundedLog {
  let size = 0;
  const out = createWriteStream(file);
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      const rest = chunk.subarray(0, Math.max(0, bytes - size));
      size += chunk.length;
      done(null, rest);
    },
    flush(done) {
      done(null, size > bytes ? `\n[${size - bytes} more bytes were dropped]\n` : '');
    },
  });
  // A full disk must not end the builder: the build's result says enough.
  out.on('error', () => stream.destroy());
  stream.on('error', () => undefined);
  stream.pipe(out);
  return {
    stream,
    async close() {
      stream.end();
      await finished(out).catch(() => undefined);
    },
  };
}
