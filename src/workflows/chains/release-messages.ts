/** How releases and rollbacks are started. */
import type { CaseToRelease } from '../decisions/security-messages.js';

/** What is released, and by which decision. */
export type ReleaseKind =
  /** A promoted build as it is. */
  | { readonly kind: 'copy' }
  /** A signed rebuild. */
  | {
      readonly kind: 'rebuild';
      /** The accepted build, which the decision is about. */
      readonly accepted: string;
      /** The attempt that has made the signed build. */
      readonly attempt: number;
    }
  /** The build of a security case, whose approvals count. */
  | {
      readonly kind: 'fix';
      readonly fix: CaseToRelease;
      /** Are releases of the stream signed rebuilds? */
      readonly signed: boolean;
    };

/** Input of `release/<stream>/<build>`. Who approved is told by the signed statements alone. */
export type ReleaseInput = ReleaseKind & {
  readonly stream: string;
  /** What readers get: of a rebuild the signed build. */
  readonly build: string;
  /** The release that the approvals were given on; null before the first. */
  readonly onto: string | null;
};

/** Input of `rollback/<stream>/<build>`. */
export interface RollbackInput {
  readonly stream: string;
  /** The release that is taken back. */
  readonly build: string;
  /** The release to return to. */
  readonly to: string;
  readonly reason?: string | undefined;
}
