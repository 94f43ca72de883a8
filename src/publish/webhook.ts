/** Tells a webhook. */
import { Failure } from '../domain/failures.js';
import { knowAddress } from '../domain/secrets.js';
import type { Step } from '../steps/step.js';

const patienceMs = 30_000;

/**
 * POSTs JSON. At least once: a try that failed may have arrived, so receivers must tell repeats by what is in the body. Throws
 * `TargetUnreachable`, or the signal's reason when cancelled.
 */
export async function postWebhook(step: Step, url: string, body: unknown): Promise<void> {
  knowAddress(url);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.any([step.signal, AbortSignal.timeout(patienceMs)]),
  }).catch((error: unknown) => {
    step.signal.throwIfAborted();
    throw new Failure(
      'TargetUnreachable',
      `${url}: ${String(error instanceof Error ? (error.cause ?? error) : error)}`,
    );
  });
  step.note(`${url}: HTTP status ${response.status}`);
  if (!response.ok) throw new Failure('TargetUnreachable', `${url}: HTTP status ${response.status}`);
}
