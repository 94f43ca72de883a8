/** The one way to tell people and programs something in a stream's name. */
import type { Host } from '../host.js';
import type { Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import type { Channel, News, Recipients, Sender, Told } from './channel.js';
import { mailChannel } from './mail.js';
import { webhookChannel } from './webhook.js';

/** In their order: what can be sent only once goes first. */
const channels: readonly Channel[] = [mailChannel, webhookChannel];

/** Tells them by each channel that the stream file gives them. Answers by which; fails as the channel that failed. */
export async function notify(
  step: Step,
  host: Host,
  sender: Sender,
  recipients: Recipients,
  news: News,
): Promise<Told> {
  let told: Told = {};
  for (const channel of channels)
    told = { ...told, ...(await channel.tell(step, host, sender, recipients, news)) };
  return told;
}

type Released = Pick<Stream, 'name' | 'release'>;
export const senderOf = ({ name, release }: Released): Sender => ({ stream: name, mail: release?.mail });

/** Groups of a stream that has releases. */
export type Group = 'announce' | 'sig' | 'security';

/** As the stream file has them: nobody, if it has no such group. */
export function recipientsOf({ release }: Pick<Released, 'release'>, group: Group): Recipients {
  switch (group) {
    case 'announce':
      return release?.announce ?? { inDoubt: 'hold' };
    case 'sig':
      return { ...release?.sig, inDoubt: 'again' };
    // No webhook: it may be under embargo.
    case 'security':
      return { to: release?.security?.to ?? [], inDoubt: 'again' };
  }
}
