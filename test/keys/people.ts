/** SIG members with real keys in a scratch folder, and what they sign. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import type { Statement } from '../../src/domain/statement.js';
import type { Approver } from '../../src/keys/statement.js';
import type { Scratch } from '../steps/scratch.js';

export interface Person extends Approver {
  readonly fingerprint: string;
}

/** Gpg's clock stands at this time. */
export const at = (time: string) => ['--faked-system-time', time];

export class People {
  private constructor(
    readonly s: Scratch,
    readonly home: string,
  ) {}

  static async make(s: Scratch): Promise<People> {
    const home = s.at('people');
    await mkdir(home, { mode: 0o700 });
    return new People(s, home);
  }

  readonly gpg = async (args: readonly string[], input?: string) =>
    (
      await this.s.step.run(
        ['gpg', '--homedir', this.home, '--batch', '--no-tty', '--passphrase', '', ...args],
        input === undefined ? {} : { input },
      )
    ).stdout;

  /** Makes an ed25519 key, which never expires unless `expire` says so. */
  async join(name: string, expire = 'never', ...options: string[]): Promise<Person> {
    const user = `${name} <${name}@example.org>`;
    await this.gpg([...options, '--quick-generate-key', user, 'ed25519', 'sign', expire]);
    const fingerprint = (await this.fingerprints(name))[0] ?? assert.fail();
    await this.publish(name);
    return { name, key: this.s.at(`${name}.asc`), fingerprint };
  }

  /** Fingerprints of the primary key and its subkeys. */
  async fingerprints(name: string): Promise<string[]> {
    const list = await this.gpg(['--with-colons', '--list-keys', `${name}@example.org`]);
    return [...list.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map((found) => found[1] ?? '');
  }

  /** Writes the public key as it is now to the person's key file. */
  async publish(name: string): Promise<void> {
    await this.s.write(`${name}.asc`, await this.gpg(['--armor', '--export', `${name}@example.org`]));
  }

  async revoke({ name, fingerprint }: Person): Promise<void> {
    const certificate = await readFile(`${this.home}/openpgp-revocs.d/${fingerprint}.rev`, 'utf8');
    await this.gpg(['--import'], certificate.replace(':-----BEGIN', '-----BEGIN'));
    await this.publish(name);
  }

  /** Clear-signs a statement, or any text. */
  sign(name: string, content: Statement | string, ...options: string[]): Promise<string> {
    const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
    const user = ['--local-user', `${name}@example.org`, '--digest-algo', 'SHA256'];
    return this.gpg([...user, ...options, '--clearsign'], `${text}\n`);
  }
}

/** Fields of statements; a test may sign what does not fit its kind. */
export type Fields = Partial<
  Record<Statement extends infer S ? (S extends Statement ? keyof S : never) : never, unknown>
>;

/** A statement made now, unless `change` makes it none. */
export const statementOf = (change: Fields = {}): Statement =>
  ({
    'treeline-statement': 1,
    stream: 'tiny',
    decision: 'promote',
    build: '20261123_01',
    commits: { x86_64: 'ab'.repeat(32) },
    onto: null,
    time: new Date().toISOString(),
    nonce: randomBytes(16).toString('hex'),
    ...change,
  }) as Statement;
