/** The record of a run (`run.json` in the build store) and the live view of one that is running. */
import { z } from 'zod';

/** `built`: a security case's build, which is in the build store alone until it is released. */
export const outcomes = [
  ...(['published', 'no-change', 'failed', 'cancelled', 'released', 'rolled-back'] as const),
  'built',
] as const;
export type Outcome = (typeof outcomes)[number];

export const stepState = z.enum(['running', 'done', 'failed', 'cancelled']);

export const stepRecord = z.object({
  /** Id of the step and name of its log, such as `image-qcow2`. */
  id: z.string(),
  /** One line for people. */
  title: z.string(),
  state: stepState,
  /** ISO 8601, UTC. */
  started: z.string(),
  ended: z.string().optional(),
  /** What came of it, in a few words. */
  result: z.string().optional(),
});
export type StepRecord = z.infer<typeof stepRecord>;

/** Answer of the workflow's `progress` query. */
export const chainProgress = z.object({
  stream: z.string(),
  run: z.string(),
  build: z.string().optional(),
  phase: z.string(),
  steps: z.array(stepRecord),
  /** Why a step is being tried again, if one is. */
  trouble: z.string().optional(),
  /** Of a release: what is where, such as `repo: switched`; by the part of the release location. */
  targets: z.record(z.string(), z.string()).optional(),
});
export type ChainProgress = z.infer<typeof chainProgress>;

/** `run.json` */
export const runRecord = chainProgress.extend({
  workflow: z.string(),
  started: z.string(),
  ended: z.string(),
  outcome: z.enum(outcomes),
  /** The failure's code of the table, and its message. */
  failure: z.object({ code: z.string(), message: z.string(), step: z.string().optional() }).optional(),
  /** What was unchanged, or any other remark for people. */
  note: z.string().optional(),
});
export type RunRecord = z.infer<typeof runRecord>;

/** What the nightly answers. */
export interface ChainResult {
  readonly outcome: 'published' | 'no-change';
  readonly run: string;
  readonly build?: string;
  readonly commits: Readonly<Record<string, string>>;
}

/** Steps that belong to no run of a chain log as the run of this name. */
export const streamRun = 'stream';
