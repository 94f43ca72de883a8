/** The mail server as a stream declares it: how it is reached, and what its errors mean. */
import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import type { NodemailerError } from 'nodemailer/lib/errors';
import type { SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection';
import { Failure } from '../domain/failures.js';
import { knowSecret, mask } from '../domain/secrets.js';
import type { ReleaseSettings } from '../domain/release-settings.js';

export type MailSettings = NonNullable<ReleaseSettings['mail']>;

/** Milliseconds. */
export interface Patience {
  /** For DNS, connecting, greeting and TLS together. */
  readonly connection: number;
  /** For each further answer. RFC 5321, 4.5.3.2.6 asks for 10 minutes after the content: less makes doubts. */
  readonly answer: number;
  /** For the answer to the content once the step is cancelled: to know is better than to doubt. */
  readonly cancelled: number;
}
export const patience: Patience = { connection: 30_000, answer: 600_000, cancelled: 20_000 };

/** The password, if there is a user; from then on it is masked. Read at each use: it may change. One line end after it does not count. */
export async function readPassword({ user, passwordFile }: MailSettings): Promise<string | undefined> {
  if (user === undefined) return undefined;
  if (passwordFile === undefined)
    throw new Failure('MailRefused', 'release.mail.passwordFile: missing, although there is a `user`');
  const password = (await readSetting('passwordFile', passwordFile)).replace(/\r?\n$/, '');
  if (password === '') throw new Failure('MailRefused', `release.mail.passwordFile: ${passwordFile}: empty`);
  knowSecret(password);
  return password;
}

const readSetting = (setting: string, file: string) =>
  readFile(file, 'utf8').catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure('MailRefused', `release.mail.${setting}: ${file}: cannot be read (${code ?? '?'})`);
  });

function serverOf({ server }: MailSettings) {
  const [, scheme, host = '', port] = /^(smtps?):\/\/(\[.*\]|[^:]*)(?::(\d+))?$/.exec(server) ?? [];
  const secure = scheme === 'smtps';
  // Without a port that of submission (RFC 8314).
  return { secure, host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? (secure ? 465 : 587)) };
}

export const isLoopback = (settings: MailSettings) =>
  /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(serverOf(settings).host);

export async function connectionOptions(
  settings: MailSettings,
  wait: Patience,
): Promise<SMTPConnectionOptions> {
  const { startTls, caFile } = settings;
  const { secure, host, port } = serverOf(settings);
  if (!secure && startTls === 'never' && !isLoopback(settings))
    throw new Failure('MailRefused', `release.mail.startTls: \`never\` is for loopback, not for ${host}`);
  const ca = caFile === undefined ? [] : [await readSetting('caFile', caFile)];
  return {
    host,
    port,
    secure,
    requireTLS: startTls === 'required' && !secure,
    ignoreTLS: startTls === 'never',
    connectionTimeout: wait.connection,
    greetingTimeout: wait.connection,
    socketTimeout: wait.answer,
    tls: { ca: [...rootCertificates, ...ca] },
  };
}

/** What the server, or the way to it, says: bounded, and without the password in any form in which it may come back. */
export const clean = (text: string): string => mask(text).slice(0, 500);

/** For a server that refuses some recipients. Where it refuses one for good, another try does not help. */
export function recipientsRefused(errors: readonly NodemailerError[]): NodemailerError {
  const said = errors.map(({ recipient, response }) => `${recipient ?? '?'}: ${response ?? '?'}`).join('; ');
  return Object.assign(new Error(`refuses recipients, so the mail went to none: ${said}`), {
    code: 'EENVELOPE',
    permanent: errors.length === 0 || errors.some((error) => error.permanent),
  });
}

/** Names of system errors, such as ECONNREFUSED; those of TLS are ERR_… or say what is wrong with the certificate. */
const systemError = /^E(?!RR_)[A-Z_]+$/;

/** Gives an error of the dialogue its place in the table of failures; others stay what they are. */
export function failureOf(error: unknown, settings: MailSettings, contentBegan: boolean): unknown {
  if (error instanceof Failure || !(error instanceof Error) || !('code' in error)) return error;
  const { code, responseCode = 0, permanent, originalCode, rejectedErrors } = error as NodemailerError;
  const said = rejectedErrors ? recipientsRefused(rejectedErrors).message : error.message;
  const message = `${settings.server}: ${clean(said)}`;
  // An answer to the content is certain, whatever it says; its absence is not.
  if (contentBegan && !(code === 'EMESSAGE' && responseCode >= 400))
    return new Failure('MailInDoubt', message);
  const final =
    permanent ??
    (['EAUTH', 'EENVELOPE', 'EMESSAGE'].includes(String(code)) ||
      (originalCode !== undefined && !systemError.test(originalCode)));
  return new Failure(final ? 'MailRefused' : 'MailServerAway', message);
}
