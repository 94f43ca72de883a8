/** Why ostree does not accept a signature: from what it prints. */
import { Failure } from '../domain/failures.js';
import { causeOf } from '../steps/cause.js';

/**
 * The failure that a pull with verification means, or undefined where it is not about signatures or content. A key that is not listed
 * or has expired is told from damage: somebody may have changed the key and forgotten the former one.
 */
export function signatureFailure(what: string, stderr: string): Failure | undefined {
  const key = /using \S.* key ID ([0-9A-F]{16,40})\b/.exec(stderr)?.[1] ?? 'unknown';
  if (/Can't check signature: public key not found/.test(stderr))
    return new Failure(
      'KeyNotTrusted',
      `${what} is signed with the key ${key}, which is neither the stream's \`signingKey\` nor one of its \`trustedKeys\``,
    );
  // ostree calls the signature bad in this case, too.
  const expired = /^Key expired (.+)$/m.exec(stderr)?.[1];
  if (expired !== undefined)
    return new Failure('KeyNotTrusted', `${what} is signed with the key ${key}, which expired on ${expired}`);
  if (!/GPG|signature|[Cc]orrupt|[Cc]hecksum/.test(stderr)) return undefined;
  const bad = /^BAD signature from .*/m.exec(stderr)?.[0];
  return new Failure('ParentInvalid', `${what} does not verify: ${bad ?? causeOf('', stderr)}`);
}
