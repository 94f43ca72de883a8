/** The tries at a source package, on the disk: after a crash the step goes on waiting for the job that it has submitted. */
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../store/store.js';
import { jobKey } from './job.js';

const time = z.iso.datetime();

const oneTry = z.object({
  key: jobKey,
  /** Written before it is submitted. */
  begun: time,
  /** The job's id; absent until it was submitted for certain. */
  job: z.string().optional(),
  /** When it was first seen not to be in the queue any more. */
  taken: time.optional(),
  /** Why it does not count any more. News of it that comes late still does. */
  ended: z.object({ code: z.enum(['RebuildLost', 'RebuildWrong']), why: z.string() }).optional(),
});
export type OneTry = z.infer<typeof oneTry>;

const record = z.object({
  tries: z.array(oneTry),
  /** Results, by their timestamp, that are not what was asked for, and why. */
  refused: z.record(z.string(), z.string()),
});

export class Tries {
  private constructor(
    readonly file: string,
    readonly tries: OneTry[],
    readonly refused: Record<string, string>,
  ) {}

  /** Those of a source package; `folder` is that of its rebuilt packages. */
  static async read(folder: string): Promise<Tries> {
    const file = join(folder, 'tries.json');
    const { tries, refused } = (await readJson(file, record)) ?? { tries: [], refused: {} };
    return new Tries(file, tries, refused);
  }

  get current(): OneTry | undefined {
    return this.tries.at(-1);
  }

  async save(): Promise<void> {
    await writeJson(this.file, { tries: this.tries, refused: this.refused });
  }
}
