/** How to follow the releases: the same commands as on the page of the builds. */
import { formatFingerprint, shellWord } from './facts.js';
import { Commands } from './layout.js';
import { webLink } from './links.js';

export interface UsageProps {
  /** Name of the remote. */
  readonly osname: string;
  /** Readers' address of the location that holds `repo/`. */
  readonly url: string;
  /** The ref (JSX keeps that word for itself), `${arch}` in the place of the architecture. */
  readonly branch: string;
  readonly signingKey: { readonly url: string; readonly fingerprint: string };
  /** From the page to the location's root. */
  readonly root: string;
}

/** Adding the remote, and moving a machine over to it. */
export function Follow({ osname, url, branch, signingKey, root }: UsageProps) {
  const base = url.replace(/\/+$/, '');
  const keyFile = shellWord(`${osname}-signing-key.asc`);
  const spec = refspec(osname, branch);
  const remote = shellWord(osname);
  return (
    <>
      <p>
        Add the repository once. Commits and the summary are signed, and both signatures are verified with the{' '}
        <a href={webLink(signingKey.url, base, root)}>signing key</a>{' '}
        <code>{formatFingerprint(signingKey.fingerprint)}</code>. A machine that follows the nightly builds
        has a remote of this name: remove it first, with <code>ostree remote delete {remote}</code>.
      </p>
      <Commands
        label="Add the remote"
        lines={[
          `curl -fsS -o ${keyFile} ${shellWord(signingKey.url)}`,
          `gpg --show-keys ${keyFile}`,
          `ostree remote add --set=gpg-verify=true --set=gpg-verify-summary=true \\`,
          `  --gpg-import=${keyFile} ${remote} ${shellWord(`${base}/repo`)}`,
        ]}
      />
      <p>Move a machine to the releases with rpm-ostree:</p>
      <Commands label="Rebase with rpm-ostree" lines={[`rpm-ostree rebase ${spec}`, 'systemctl reboot']} />
      <p>or with ostree alone:</p>
      <Commands
        label="Switch with ostree"
        lines={[`ostree pull ${spec}`, `ostree admin switch ${spec}`, 'systemctl reboot']}
      />
    </>
  );
}

/** For a machine that follows the releases already. */
export const Upgrade = () => (
  <>
    <p>A machine that follows the releases already gets this one with rpm-ostree:</p>
    <Commands label="Upgrade with rpm-ostree" lines={['rpm-ostree upgrade', 'systemctl reboot']} />
    <p>or with ostree alone:</p>
    <Commands label="Upgrade with ostree" lines={['ostree admin upgrade', 'systemctl reboot']} />
  </>
);

/** For a machine that has a release that was taken back. */
export const Return = () => (
  <>
    <p>A machine that runs this release returns to the one that readers have now with rpm-ostree:</p>
    <Commands
      label="Return with rpm-ostree"
      lines={['rpm-ostree upgrade --allow-downgrade', 'systemctl reboot']}
    />
    <p>or with ostree alone:</p>
    <Commands
      label="Return with ostree"
      lines={['ostree admin upgrade --allow-downgrade', 'systemctl reboot']}
    />
  </>
);

/** The architectures' names are those of `uname -m`, so that one command fits all of them. */
const refspec = (osname: string, branch: string) =>
  `${shellWord(osname)}:${branch
    .split('${arch}')
    .map((part) => part && shellWord(part))
    .join('$(uname -m)')}`;
