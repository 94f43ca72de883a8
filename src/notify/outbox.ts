/**
 * The outbox: each mail once, as far as that can be. `outbox/<key>.json` in the build store tells how far a mail has come:
 *
 * - `prepared`: nothing of it has gone out;
 * - `sending`: written just before the content goes out. Found at the start of a delivery it means doubt: whoever was sending
 *   ended before the answer was recorded;
 * - `sent`: the server has taken it.
 *
 * What is guaranteed, also when a process or machine dies at any moment: a mail that is recorded as sent was taken by the
 * server and is never sent again; one that is in doubt is sent again only if the settings or a person say so, and then it
 * is the same bytes under the same Message-ID, so that lists and readers can tell the two as one; one whose content
 * has not begun to go out is not lost and not in doubt; two deliveries of a key at once send one mail.
 *
 * What cannot be guaranteed: SMTP has no way to ask whether a message was taken. Between the end of the content and its recorded
 * answer nobody but the receiving side knows; `inDoubt` chooses between maybe none (`hold`, a person looks) and maybe two (`again`).
 * Nor is it known what the server does with what it took: bounces come later, to the sender's address. A store that was
 * restored from a backup, or that the hosts of the publish role do not share, has forgotten what was sent.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { readJson, writeJson } from '../store/store.js';
import { exclusively } from './exclusively.js';
import type { MailSettings, Patience } from './mail-server.js';
import { composeMail, hostOf, sendMail, type Message } from './smtp.js';

export const outboxRecord = z.object({
  state: z.enum(['prepared', 'sending', 'sent']),
  /** When it came into this state; ISO 8601, UTC. */
  since: z.string(),
  messageId: z.string(),
  /** The mail's `Date`, fixed when it was first prepared. */
  date: z.string(),
  envelope: z.object({ from: z.string(), to: z.array(z.string()) }),
  /** Headers and body. */
  raw: z.string(),
  /** When it went out with an unknown outcome. From then on its bytes are fixed. */
  doubts: z.array(z.string()),
  /** The server's last words, or who says that it was sent. */
  response: z.string().optional(),
});
export type OutboxRecord = z.infer<typeof outboxRecord>;

export interface DeliverOptions {
  readonly mail: MailSettings;
  /** What to do when it is not known whether the server took the mail. */
  readonly inDoubt: 'hold' | 'again';
  readonly wait?: Patience;
}
export interface Delivery {
  readonly messageId: string;
  /** Was it sent by this call, or earlier? */
  readonly sent: 'now' | 'before';
}

/** The mail's record, if it was ever prepared. Throws on a key that is not made of letters, digits, `_`, `.` and `-`. */
export const readOutbox = (host: Host, stream: string, key: string) =>
  readJson(fileOf(host, stream, key), outboxRecord);

/**
 * Sends the mail of this key unless it was sent. `make` is asked at each try until something may have gone out, so that a fixed
 * text or address counts. Throws `MailServerAway`, `MailRefused`, `MailInDoubt`, and `Busy` while another delivers it.
 */
export async function deliver(
  step: Step,
  host: Host,
  stream: string,
  key: string,
  make: () => Promise<Message>,
  { mail, inDoubt, wait }: DeliverOptions,
): Promise<Delivery> {
  const file = fileOf(host, stream, key);
  return exclusively(host.settings.path, lockOf(file), async () => {
    const found = await readJson(file, outboxRecord);
    if (found?.state === 'sent') {
      step.note(`${found.messageId}: was sent already, at ${found.since}`);
      return { messageId: found.messageId, sent: 'before' };
    }
    if (found?.state === 'sending' && inDoubt === 'hold') throw inDoubtFailure(found);
    const former = found?.state === 'sending' ? again(found) : found;
    const fixed = former !== undefined && former.doubts.length > 0;
    const record = await enter(file, fixed ? former : await prepare(former, stream, key, mail, await make()));
    step.note(`${record.messageId}: to ${record.envelope.to.join(', ')} by ${mail.server}`);
    let reached = record;
    try {
      const response = await sendMail(mail, record, {
        signal: step.signal,
        beforeContent: async () => void (reached = await enter(file, { ...record, state: 'sending' })),
        ...(wait ? { wait } : {}),
      });
      await enter(file, { ...record, state: 'sent', response });
      step.note(`${record.messageId}: taken: ${response}`);
      return { messageId: record.messageId, sent: 'now' };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code !== 'MailInDoubt') {
        if (reached.state === 'sending') await enter(file, record);
        throw error;
      }
      if (inDoubt === 'hold') throw inDoubtFailure(reached, error.message);
      throw new Failure('MailServerAway', `${record.messageId}: in doubt, goes out again: ${error.message}`);
    }
  });
}

/** A person's answer about a mail in doubt. Does nothing, and says so, for one that is not. Throws `Busy` while it is being delivered. */
export async function resolveDoubt(
  step: Step,
  host: Host,
  stream: string,
  key: string,
  answer: 'sent' | 'again',
): Promise<void> {
  const file = fileOf(host, stream, key);
  await exclusively(host.settings.path, lockOf(file), async () => {
    const record = await readJson(file, outboxRecord);
    if (record?.state !== 'sending') return step.note(`${key}: not in doubt (${record?.state ?? 'no mail'})`);
    await enter(
      file,
      answer === 'again' ? again(record) : { ...record, state: 'sent', response: 'a person says so' },
    );
    step.note(`${record.messageId}: a person says: ${answer}`);
  });
}

function fileOf(host: Host, stream: string, key: string): string {
  if (!/^[\w.-]{1,200}$/.test(key)) throw new Error(`${key.slice(0, 80)}: not a key of the outbox`);
  return join(host.store.outbox(stream), `${key}.json`);
}
const lockOf = (file: string) => file.replace(/\.json$/, '.lock');

/** Writes the record so that it outlives a power cut: what follows relies on it. */
async function enter(file: string, record: OutboxRecord): Promise<OutboxRecord> {
  const entered = { ...record, since: new Date().toISOString() };
  await writeJson(file, entered);
  const folder = await open(dirname(file));
  await folder.sync().finally(() => folder.close());
  return entered;
}

/** The record of a mail that goes out once more. */
const again = (record: OutboxRecord): OutboxRecord => ({
  ...record,
  state: 'prepared',
  doubts: [...record.doubts, record.since],
});

/** The record of a mail of which nothing has gone out; a former one's Message-ID and date stay. */
async function prepare(
  former: OutboxRecord | undefined,
  stream: string,
  key: string,
  { from }: MailSettings,
  message: Message,
): Promise<OutboxRecord> {
  const date = former?.date ?? new Date().toISOString();
  const messageId = former?.messageId ?? messageIdOf(stream, key, from);
  const mail = await composeMail(from, message, { messageId, date: new Date(date) });
  const { raw, envelope } = mail;
  return {
    state: 'prepared',
    since: date,
    messageId,
    date,
    envelope: { from: envelope.from, to: [...envelope.to] },
    raw,
    doubts: [],
  };
}

/** For the key `release-20261123_01`: `<release.sample.20261123_01.<hash>@host of the sender>`. The hash tells senders apart. */
function messageIdOf(stream: string, key: string, from: string): string {
  const [, kind = key, rest] = /^([^-]+)-(.+)$/.exec(key) ?? [];
  const hash = createHash('sha256').update([stream, key, from].join('\n')).digest('hex').slice(0, 16);
  const left = [kind, stream, ...(rest === undefined ? [] : [rest]), hash].join('.').replace(/\.{2,}/g, '.');
  return `<${left}@${domainToASCII(hostOf(from)) || 'localhost'}>`;
}

const inDoubtFailure = ({ messageId, since }: OutboxRecord, why = 'no answer was recorded') =>
  new Failure(
    'MailInDoubt',
    `${messageId}: went out at ${since}, and it is not known whether the server took it: ${why}`,
  );
