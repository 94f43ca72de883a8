/** What a notification channel is. To add one: a file beside this one, its name in `notify.ts`, its setting in the groups of the stream file. */
import type { Host } from '../host.js';
import type { Step } from '../steps/step.js';
import type { MailSettings } from './mail-server.js';

/** A group of people whom the stream file names, with where they are told. */
export interface Recipients {
  /** Addresses such as `Name <box@host>`. */
  readonly to?: readonly string[];
  readonly webhook?: string | undefined;
  /** When it is not known whether a mail was taken: a person looks, or it goes again. */
  readonly inDoubt: 'hold' | 'again';
}

/** What is to be told. Each part is made when it is needed. */
export interface News {
  /** Tells it from other news of the stream: what can be sent once is sent once under one key. */
  readonly key: string;
  /** Plain text; absent: it is nothing for people to read. */
  readonly text?: () => Promise<{ readonly subject: string; readonly text: string }>;
  /** For programs; absent: they are not told. */
  readonly data?: () => Promise<object>;
}

/** Where to tell it from. */
export interface Sender {
  readonly stream: string;
  /** How mail is sent; without it none is. */
  readonly mail?: MailSettings | undefined;
}

/** What has gone out. */
export interface Told {
  readonly mail?: { readonly messageId: string };
  readonly webhook?: true;
}

export interface Channel {
  /** Tells those whom it reaches. Idempotent as far as the channel allows, by the news' key. */
  tell(step: Step, host: Host, sender: Sender, recipients: Recipients, news: News): Promise<Told>;
}
