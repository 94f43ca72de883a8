/** How a signed rebuild is started, and what it and its promotion say to each other. */
import { defineSignal } from '@temporalio/workflow';
import type { Attempt } from '../../domain/promotion.js';
import type { ReworkChanges } from '../../domain/rework-changes.js';

export interface RebuildInput {
  readonly stream: string;
  /** The accepted build. */
  readonly build: string;
  /** Counted from 1. */
  readonly attempt: number;
  /** What asked for it: the promotion, or statements about the attempt before it. */
  readonly kind?: Attempt['kind'];
  /** The newest release when the build was approved. */
  readonly onto: string | null;
  /** Are signed packages of earlier attempts taken where their sources are the same? */
  readonly reuse: boolean;
  readonly changes?: ReworkChanges | undefined;
}

/** The signed build, published at the testing location. */
export interface RebuildResult {
  readonly build: string;
  readonly commits: Readonly<Record<string, string>>;
}

/** To `promotion/<stream>/<build>`, from its attempts. */
export interface RebuildNews {
  readonly attempt: number;
  /** `began`: it has a build id; `differs`: it waits for `accept`; the others are ends. */
  readonly state: 'began' | 'differs' | 'testing' | 'failed' | 'cancelled';
  readonly build?: string | undefined;
  readonly commits?: Readonly<Record<string, string>> | undefined;
  /** Why it failed, or what differs. */
  readonly note?: string | undefined;
}
export const rebuildNews = defineSignal<[RebuildNews]>('rebuildNews');

/** To `rebuild/<stream>/<build>/<attempt>`: enough approvers have accepted its differences. */
export const acceptSignal = defineSignal('accept');
