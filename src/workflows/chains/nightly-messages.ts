/** How the nightly is addressed and started; free of workflow code, so that clients may import it. */

/** Workflow id `nightly/<stream>`: one nightly of a stream at a time. */
export const nightlyId = (stream: string) => `nightly/${stream}`;

export interface NightlyInput {
  readonly stream: string;
  /** Build even if nothing has changed. */
  readonly force?: boolean;
}
