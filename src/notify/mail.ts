/** By mail: once under each key, as far as that can be (`outbox.ts`). */
import type { Channel } from './channel.js';
import { deliver } from './outbox.js';

/** Fails with MailServerAway, MailRefused, MailInDoubt. */
export const mailChannel: Channel = {
  async tell(step, host, { stream, mail }, { to = [], inDoubt }, { key, text }) {
    if (!mail || !text || to.length === 0) return {};
    const make = async () => ({ to, ...(await text()) });
    const { messageId } = await deliver(step, host, stream, key, make, { mail, inDoubt });
    return { mail: { messageId } };
  },
};
