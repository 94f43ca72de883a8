/** How the nightly is addressed and started; free of workflow code, so that clients may import it. */
import { z } from 'zod';
import { name } from '../../domain/names.js';

/** Workflow id `nightly/<stream>`: one nightly of a stream at a time. */
export const nightlyId = (stream: string) => `nightly/${stream}`;

export const nightlyInput = z.object({
  stream: name,
  /** Build even if nothing has changed. */
  force: z.boolean().optional(),
});
export type NightlyInput = Readonly<z.infer<typeof nightlyInput>>;
