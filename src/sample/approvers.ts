/** The sample's SIG: two approvers with keys without passphrases, for trying promotions out. A real SIG's members have their own. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../steps/step.js';
import { exists, writeWhole } from '../store/store.js';

export const sampleApprovers = ['alice', 'bob'] as const;

/** GPG home with the private keys (`--gnupg-home` of the command line), and beside them the public ones: `<name>.asc`. */
export const approversHome = (state: string) => join(state, 'keys', 'sample-sig');

/** Makes the keys, once. */
export async function makeApprovers(step: Step, state: string): Promise<void> {
  const home = approversHome(state);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const gpg = (...args: string[]) =>
    step.run(['gpg', '--homedir', home, '--batch', '--no-tty', ...args], { okCodes: [0, 2] });
  for (const name of sampleApprovers) {
    const file = join(home, `${name}.asc`);
    if (await exists(file)) continue;
    const user = `${name}@sample.invalid`;
    const known = await gpg('--with-colons', '--list-secret-keys');
    if (!known.stdout.includes(user))
      await gpg('--passphrase', '', '--quick-generate-key', user, 'ed25519', 'sign', '2y');
    await writeWhole(file, (await gpg('--armor', '--export', user)).stdout);
  }
}
