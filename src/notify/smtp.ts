/** Mail: composed once, and handed to the server in a way that tells what is certain about the outcome. */
import { Readable } from 'node:stream';
import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection, {
  type SMTPConnectionEnvelope,
  type SMTPEnvelope,
} from 'nodemailer/lib/smtp-connection';
import { Failure } from '../domain/failures.js';
import {
  clean,
  connectionOptions,
  failureOf,
  isLoopback,
  patience,
  readPassword,
  recipientsRefused,
  type MailSettings,
  type Patience,
} from './mail-server.js';

/** What is to be said. */
export interface Message {
  /** Addresses such as `Name <box@host>`. */
  readonly to: readonly string[];
  readonly subject: string;
  /** Plain text; arrives as it is, so that a clear-signed one still verifies. */
  readonly text: string;
}

/** A composed message. */
export interface Mail {
  /** With its angle brackets. */
  readonly messageId: string;
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** Headers and body; ASCII unless an address is not. */
  readonly raw: string;
}

/** Parts of an address that has passed the schema. A comma in the name does not make it two. */
function addressOf(mailbox: string): { name: string; address: string } {
  const [, name, address] = /^(.*) <(.*)>$/.exec(mailbox) ?? [];
  return { name: name ?? '', address: address ?? mailbox };
}
export const hostOf = (mailbox: string) => addressOf(mailbox).address.split('@')[1] ?? '';

/** Makes the message. The same arguments give the same bytes. */
export async function composeMail(
  from: string,
  { to, subject, text }: Message,
  { messageId, date }: { messageId: string; date: Date },
): Promise<Mail> {
  const node = new MailComposer({
    from: addressOf(from),
    to: to.map(addressOf),
    subject,
    text,
    messageId,
    date,
    // Quoted-printable where 7 bits do not do: base64 makes signatures unreadable in archives.
    textEncoding: 'quoted-printable',
    headers: { 'Auto-Submitted': 'auto-generated' },
  }).compile();
  const raw = (await node.build()).toString('utf8');
  return {
    messageId,
    envelope: { from: addressOf(from).address, to: to.map((one) => addressOf(one).address) },
    raw,
  };
}

/**
 * Hands a mail to the server: to all recipients or, where it refuses one, to none. `beforeContent` runs when the server has accepted
 * the envelope and is waiting for the content; nothing of it has gone out then. Answers the server's last words.
 *
 * Throws `MailServerAway` or `MailRefused` where it is certain that the server has not taken the mail, `MailInDoubt` where the
 * content went out and no answer came back, and the signal's reason when cancelled (in doubt too if the content had begun).
 */
export async function sendMail(
  settings: MailSettings,
  mail: Mail,
  { signal, beforeContent, wait = patience }: SendOptions,
): Promise<string> {
  signal.throwIfAborted();
  const password = await readPassword(settings);
  const connection = new SMTPConnection(await connectionOptions(settings, wait));
  // The connection keeps its books on the recipients here.
  const envelope: SMTPEnvelope & Partial<Pick<SMTPConnectionEnvelope, 'accepted' | 'rejectedErrors'>> = {
    from: mail.envelope.from,
    to: [...mail.envelope.to],
    size: Buffer.byteLength(mail.raw),
  };
  /** From here on a lost connection means doubt, and a cancellation waits for the answer. */
  let contentBegan = false;
  let held: { why: unknown } | undefined;
  /** Read once the server waits for the content. An error ends the connection before its end mark: the server drops the mail. */
  const content = async function* () {
    try {
      if (envelope.accepted?.length !== mail.envelope.to.length)
        throw failureOf(recipientsRefused(envelope.rejectedErrors ?? []), settings, false);
      signal.throwIfAborted();
      contentBegan = true;
      await beforeContent();
    } catch (why) {
      held = { why };
      // An error of its own: the library writes into the one it gets.
      throw new Error('held back', { cause: why });
    }
    yield Buffer.from(mail.raw);
  };
  const lost = new Promise<never>((_, reject) => {
    connection.on('error', reject);
    const onAbort = () =>
      void setTimeout(() => reject(signal.reason as Error), contentBegan ? wait.cancelled : 0).unref();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  lost.catch(() => undefined);
  const step = <T>(start: (done: (error?: Error | null, value?: T) => void) => void) =>
    Promise.race([
      lost,
      new Promise<T | undefined>((resolve, reject) =>
        start((error, value) => (error ? reject(error) : resolve(value))),
      ),
    ]);
  try {
    await step((done) => connection.connect(done));
    if (password !== undefined) {
      if (!connection.secure && !isLoopback(settings))
        throw new Failure('MailRefused', 'it offers no TLS: the password is not sent in the clear');
      await step((done) => connection.login({ user: settings.user ?? '', pass: password }, done));
    }
    const info = await step<{ response: string }>((done) =>
      connection.send(envelope, Readable.from(content()), done),
    );
    connection.quit();
    setTimeout(() => connection.close(), 5000).unref();
    return clean(info?.response ?? '');
  } catch (error) {
    connection.close();
    if (held) throw held.why;
    if (error === signal.reason) throw error;
    throw failureOf(error, settings, contentBegan);
  }
}

export interface SendOptions {
  readonly signal: AbortSignal;
  readonly beforeContent: () => Promise<void>;
  readonly wait?: Patience;
}
