/** When releases are due, and which upstream build each of them follows. */

/** One release date. Dates are `YYYY-MM-DD`, UTC. */
export interface CadenceRow {
  readonly due: string;
  /** First day whose builds may become the candidate. */
  readonly windowFrom: string;
  /** The upstream build that it is downstream of, and where that is known from. */
  readonly upstream?: {
    readonly number: number;
    readonly date: string;
    readonly from: 'rule' | 'list' | 'override';
  };
  /** The release that was made for it. */
  readonly release?: string;
  /** `due`: the next one. `missed`: its date has passed without a release. */
  readonly state: 'released' | 'missed' | 'due' | 'coming';
}
