/** A real SMTP server on loopback, with switches for what can go wrong, and the mailbox of what it took. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { simpleParser, type ParsedMail } from 'mailparser';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Scratch } from '../steps/scratch.js';

export interface Received {
  /** As it came over the wire, dots unstuffed. */
  readonly raw: Buffer;
  readonly parsed: ParsedMail;
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  /** Over TLS? */
  readonly secure: boolean;
}

export interface SmtpOptions {
  /** From the start (`smtps://`), by STARTTLS (default), or not at all. */
  tls?: 'implicit' | 'starttls' | 'none';
  certificate?: Certificate;
  /** Wants this user and password. */
  auth?: { user: string; password: string };
  port?: number;
}

/** An answer other than yes: a code, or silence, or an end of the connection. */
export type Mishap = { code: number; text?: string } | 'silence' | 'drop';

export interface Smtp {
  readonly port: number;
  /** Every message whose content came in whole, whatever was answered. */
  readonly mailbox: Received[];
  /** Sessions and what they came to, such as `RCPT a@b`. */
  readonly seen: string[];
  /** By address. */
  readonly recipients: Map<string, Mishap>;
  /** To the content. */
  content: Mishap | undefined;
  close(): Promise<void>;
}

export interface Certificate {
  readonly key: string;
  /** Its file is its own CA. */
  readonly certificate: string;
}

/** A certificate that is signed by itself. */
export async function makeCertificate(
  s: Scratch,
  name: string,
  names = 'DNS:localhost,IP:127.0.0.1',
): Promise<Certificate> {
  const [key, certificate] = [s.at(`${name}.key`), s.at(`${name}.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await s.step.run(['openssl', 'req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate]);
  return { key, certificate };
}

export async function startSmtp({
  tls = 'starttls',
  certificate,
  auth,
  port = 0,
}: SmtpOptions = {}): Promise<Smtp> {
  const mailbox: Received[] = [];
  const seen: string[] = [];
  const recipients = new Map<string, Mishap>();
  /** Gives the answer that the switch says. */
  const answer = (mishap: Mishap | undefined, id: string, done: (error?: Error) => void) => {
    if (mishap === undefined) return done();
    if (mishap === 'silence') return;
    if (mishap !== 'drop')
      return done(Object.assign(new Error(mishap.text ?? 'no'), { responseCode: mishap.code }));
    for (const connection of server.connections)
      if (connection.session.id === id) connection._socket.destroy();
  };
  const options: SMTPServerOptions = {
    secure: tls === 'implicit',
    ...(certificate && {
      key: readFileSync(certificate.key),
      cert: readFileSync(certificate.certificate),
    }),
    disabledCommands: [...(tls === 'none' ? ['STARTTLS'] : []), ...(auth ? [] : ['AUTH'])],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onAuth({ username, password }, _, done) {
      seen.push(`AUTH ${username ?? ''}`);
      const right = username === auth?.user && password === auth?.password;
      // An unkind server: it says what it was told.
      if (right) done(null, { user: username });
      else
        done(Object.assign(new Error(`no: ${username ?? ''} with ${password ?? ''}`), { responseCode: 535 }));
    },
    onRcptTo({ address }, { id }, done) {
      seen.push(`RCPT ${address}`);
      answer(recipients.get(address), id, done);
    },
    onData(stream, { id, envelope, user, secure }, done) {
      seen.push('DATA');
      buffer(stream).then(
        async (raw) => {
          const { mailFrom, rcptTo } = envelope;
          mailbox.push({
            raw,
            parsed: await simpleParser(raw),
            from: mailFrom ? mailFrom.address : '',
            to: rcptTo.map(({ address }) => address),
            user: user as string | undefined,
            secure,
          });
          answer(smtp.content, id, (error) => done(error, 'taken as 4711'));
        },
        () => seen.push('content cut off'),
      );
    },
    onClose: () => void seen.push('closed'),
  };
  const server = new SMTPServer(options);
  // A client that ends in the middle is nothing to end the test for.
  server.on('error', () => undefined);
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  const smtp: Smtp = {
    port: (listening.address() as AddressInfo).port,
    mailbox,
    seen,
    recipients,
    content: undefined,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
  return smtp;
}
