/** How a signed rebuild is started, and what it and its promotion say to each other. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { attempt, name } from '../../domain/names.js';
import { commitsByArch } from '../../domain/shapes.js';
import { reworkChanges } from '../../domain/rework-changes.js';
import { signal } from '../messages.js';

export const rebuildInput = z.object({
  stream: name,
  /** The accepted build. */
  build: buildId,
  /** Counted from 1. */
  attempt,
  /** What asked for it: the promotion, or statements about the attempt before it. */
  kind: z.enum(['first', 'redo', 'rework']).optional(),
  /** The newest release when the build was approved. */
  onto: buildId.nullable(),
  /** Number of the promotion's first attempt: packages of attempts that other promotions made are not taken. */
  since: attempt,
  /** Are signed packages of earlier attempts, and of the current release, taken where their sources are the same? */
  reuse: z.boolean(),
  changes: reworkChanges.optional(),
});
export type RebuildInput = Readonly<z.infer<typeof rebuildInput>>;

/** The signed build, published at the testing location. */
export interface RebuildResult {
  readonly build: string;
  readonly commits: Readonly<Record<string, string>>;
}

/** To `promotion/<stream>/<build>`, from its attempts. */
const news = z.object({
  attempt,
  /** `began`: it has a build id; `differs`: it waits for `accept`; the others are ends. */
  state: z.enum(['began', 'differs', 'testing', 'failed', 'cancelled']),
  build: buildId.optional(),
  commits: commitsByArch.optional(),
  /** Why it failed, or what differs. */
  note: z.string().optional(),
});
export type RebuildNews = Readonly<z.infer<typeof news>>;
export const rebuildNews = signal('rebuildNews', news);

/** To `rebuild/<stream>/<build>/<attempt>`: enough approvers have accepted its differences. */
export const acceptSignal = signal('accept');
