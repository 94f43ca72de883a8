/** How a security case and its builds are started, and what they and the stream say to each other. */
import { defineSignal } from '@temporalio/workflow';
import type { Approval } from '../../domain/promotion.js';
import type { Affecting, Fix, FixPlan, SecurityCase, SecurityRelease } from '../../domain/security.js';
import type { FixDecision, StatementOf } from '../../domain/statement.js';
import type { Turn } from './signals.js';

/** Input of `security/<stream>/<case>`. */
export interface SecurityInput {
  readonly stream: string;
  readonly case: SecurityCase;
  /** How its last build stands, when the workflow has continued as new. */
  readonly fix?: FixState | undefined;
  /** Of one whose release runs: the accepted build of the release that it is made from. */
  readonly accepted?: string | undefined;
}

/**
 * `running`; `waits`: has done what can be done without an approval; `differs`: waits for `accept-fix`; `built`: tested, and in the
 * build store; `failed`, `cancelled`.
 */
export type FixState = 'running' | 'waits' | 'differs' | 'built' | 'failed' | 'cancelled';

/** Input of `fix/<stream>/<case>/<attempt>`. */
export interface FixInput {
  readonly stream: string;
  /** Id of the case. */
  readonly case: string;
  /** Counted from 1. */
  readonly attempt: number;
  readonly fixes: readonly Fix[];
  /** Source RPMs that a person gave: `sha256` by file name. */
  readonly srpms?: Readonly<Record<string, string>> | undefined;
  /** Are releases of the stream signed rebuilds? The build is then of its line of signed builds. */
  readonly signed: boolean;
  /** Nobody is told how it ended. */
  readonly embargoed: boolean;
}

/** The build, in the build store alone. */
export interface FixResult {
  readonly build: string;
  readonly commits: Readonly<Record<string, string>>;
}

/** To `security/<stream>/<case>`, from its builds. */
export interface FixNews {
  readonly attempt: number;
  readonly state: FixState;
  readonly plan?: FixPlan | undefined;
  readonly build?: string | undefined;
  readonly commits?: Readonly<Record<string, string>> | undefined;
  /** What differs, or why it failed. */
  readonly note?: string | undefined;
}
export const fixNews = defineSignal<[FixNews]>('fixNews');

/** To `fix/<stream>/<case>/<attempt>`: enough approvers have signed for its plan; its statements are looked at. */
export const approvedSignal = defineSignal('approved');
/** Tells its last news again, to a case that was lost meanwhile. */
export const sayAgainSignal = defineSignal('sayAgain');

/** To `security/<stream>/<case>`, from the stream: a statement that was accepted. */
export type CaseDecision = StatementOf<FixDecision | 'withdraw'> & { readonly approval: Approval };
export const caseDecision = defineSignal<[CaseDecision]>('caseDecision');
/** Advisories that were found while it waits for such. */
export const joinSignal = defineSignal<[readonly Affecting[]]>('join');
/** Readers have another release now. */
export const baseMovedSignal = defineSignal<[{ current: string | null }]>('baseMoved');
/** It is this case's turn: nothing else is being released. */
export interface CaseTurn extends Turn {
  /** The accepted build of the newest release. */
  readonly accepted: string | null;
}
export const caseTurn = defineSignal<[CaseTurn]>('caseTurn');

/** To `stream/<stream>`, from its cases: as it is now, with the turn that it last took or gave back. */
export const caseChanged = defineSignal<[SecurityCase, string?]>('caseChanged');

/** To `promotion/<stream>/<build>`, from the stream: what the SIG is told about a security case. */
export interface PromotionNews {
  readonly event: 'security-case' | 'unfixed';
  /** Id of the case. */
  readonly case: string;
  readonly text: string;
  /** Is a fix released that the build lacks? */
  readonly lacks: boolean;
}
export const promotionNews = defineSignal<[PromotionNews]>('promotionNews');

/** What a release needs to know of its case. */
export interface CaseToRelease extends SecurityRelease {
  readonly plan: FixPlan;
  readonly srpms?: Readonly<Record<string, string>> | undefined;
  /** The accepted build of the base: other builds are compared with it. */
  readonly accepted: string;
}
