/** What came of boot attempts, in words. */
import type { BootAttempt } from './metadata.js';

/** `31 s to login under TCG; KVM stopped the guest: …` */
export function describeBoot(attempt: BootAttempt): string {
  const { passed, seconds, accelerator, reason = 'did not boot', remarks = [] } = attempt;
  const what = passed
    ? `${Math.round(seconds)} s to login under ${accelerator.toUpperCase()}`
    : `failed: ${reason}`;
  return [what, ...remarks].join('; ');
}
