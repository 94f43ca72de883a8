/** By webhook: a JSON object is POSTed. */
import { knowAddress } from '../domain/secrets.js';
import { ask, type Request } from '../steps/http.js';
import type { Step } from '../steps/step.js';
import type { Channel } from './channel.js';

const patienceMs = 30_000;
/** What it answers is of no interest. */
const maxBytes = 2 ** 20;

/**
 * POSTs JSON. At least once: a try that failed may have arrived, so receivers must tell repeats by what is in the body. Throws
 * `TargetUnreachable` or `PublishRefused`, or the signal's reason when cancelled.
 */
export async function postWebhook(step: Step, url: string, body: unknown): Promise<void> {
  knowAddress(url);
  const request: Request = {
    signal: step.signal,
    away: 'TargetUnreachable',
    refused: 'PublishRefused',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    maxBytes,
    limits: { total: patienceMs },
  };
  await ask(url, request, ({ status }) => step.note(`${url}: HTTP status ${status}`));
}

/** At least once: receivers tell repeats by what is in the body. Fails as `postWebhook`. */
export const webhookChannel: Channel = {
  async tell(step, _host, _sender, { webhook }, { data }) {
    if (webhook === undefined || !data) return {};
    await postWebhook(step, webhook, await data());
    return { webhook: true };
  },
};
