/** How severe an advisory is, by vendors' words and CVSS vectors. Pure. */
import cvss from 'ae-cvss-calculator';
import { severities, type Rating, type Severity } from '../domain/security.js';

/** What vendors say for these. "None" and "unspecified" are what some write for a severity that nobody has set. */
const words: Readonly<Partial<Record<string, Rating>>> = {
  ...{ critical: 'critical', urgent: 'critical', important: 'important', high: 'important' },
  ...{ moderate: 'moderate', medium: 'moderate', low: 'low', minor: 'low', negligible: 'low' },
};

/** A vendor's word in any case; `unknown` for anything else. */
export const severityOf = (word: string | undefined): Severity =>
  new Map(Object.entries(words)).get((word ?? '').trim().toLowerCase()) ?? 'unknown';

/** The rating that CVSS 3 and 4 give to a score; taken for CVSS 2 too. `unknown` for what is no score. */
export function severityOfScore(score: number | undefined): Severity {
  if (score === undefined || !(score >= 0 && score <= 10)) return 'unknown';
  if (score === 0) return 'none';
  return score >= 9 ? 'critical' : score >= 7 ? 'important' : score >= 4 ? 'moderate' : 'low';
}

/**
 * By the base metrics of a CVSS vector (2.0, 3.0, 3.1, 4.0): exploits and countermeasures of a day do not lower it. Takes a bare score or
 * a vendor's word as well, which some write in the vector's place. `unknown` for what is incomplete or none of these.
 */
export function severityOfCvss(text: string): Severity {
  const vector = text.trim();
  if (/^\d+(\.\d+)?$/.test(vector)) return severityOfScore(Number(vector));
  const read = vector.length <= 500 && vector.includes('/') ? vectorOf(vector) : null;
  if (!read?.isBaseFullyDefined()) return severityOf(vector);
  const scores = read.calculateScores();
  return severityOfScore(scores.baseMetricsOnly ?? scores.base);
}

/** What is used of the library's vectors, which it declares as `any`. */
interface CvssVector {
  isBaseFullyDefined(): boolean;
  /** `baseMetricsOnly`: of CVSS 4, whose `base` takes threats into account. */
  calculateScores(): { base?: number | undefined; baseMetricsOnly?: number | undefined };
}
const vectorOf = (text: string) => cvss.fromVector(text) as CvssVector | null;

/** The highest of several ratings of one thing; `unknown` only where none is known. */
export const worst = (all: readonly Severity[]): Severity =>
  severities.findLast((severity) => all.includes(severity)) ?? 'unknown';
