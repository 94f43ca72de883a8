/** How to follow a stream or its releases, and how to check what was downloaded. */
import { addRemote, fetchKey, goBack, rebase, upgrade, verifyDownload, type Remote } from './commands.js';
import { formatFingerprint } from './facts.js';
import { Commands } from './layout.js';
import { webLink } from './links.js';

export interface FollowProps {
  readonly remote: Remote;
  /** The ref (JSX keeps that word for itself), `${arch}` in the place of the architecture. */
  readonly branch: string;
  /** The signing key's, once it is known. */
  readonly fingerprint: string | undefined;
  /** What is followed, such as `the releases`. */
  readonly what: string;
  /** From the page to the location's root. */
  readonly root: string;
}

/** Adding the remote, and moving a machine over to it. */
export const Follow = ({ remote, branch, fingerprint, what, root }: FollowProps) => (
  <>
    <p>
      Add the repository once. Commits and the summary are signed, and both signatures are verified with the{' '}
      <a href={webLink(remote.key, remote.url, root)}>signing key</a>
      {fingerprint && (
        <>
          {' '}
          <code>{formatFingerprint(fingerprint)}</code>
        </>
      )}
      :
    </p>
    <Commands label="Add the remote" lines={[...fetchKey(remote), ...addRemote(remote)]} />
    <Ways lead={`Move a machine to ${what}`} label="Move" lines={rebase(remote, branch)} />
  </>
);

/** For a machine that follows the releases already. */
export const Upgrade = () => (
  <Ways lead="A machine that follows the releases already gets this one" label="Upgrade" lines={upgrade} />
);

/** For a machine that has a release that was taken back. */
export const Return = () => (
  <Ways
    lead="A machine that runs this release returns to the one that readers have now"
    label="Return"
    lines={goBack}
  />
);

interface WaysProps {
  readonly lead: string;
  readonly label: string;
  readonly lines: Readonly<Record<'rpm-ostree' | 'ostree', readonly string[]>>;
}

const Ways = ({ lead, label, lines }: WaysProps) => (
  <>
    <p>{lead} with rpm-ostree:</p>
    <Commands label={`${label} with rpm-ostree`} lines={lines['rpm-ostree']} />
    <p>or with ostree alone:</p>
    <Commands label={`${label} with ostree`} lines={lines.ostree} />
  </>
);

export interface CheckProps {
  readonly remote: Remote;
  /** Address of the signed list. */
  readonly checksums: string;
  /** Whose list it is, where there are several. */
  readonly of?: string | undefined;
}

/** How to check downloads. */
export const Check = ({ remote, checksums, of }: CheckProps) => (
  <>
    <p>
      To check a download{of && ` (here one for ${of})`}, take the list out of its signature first, so that
      only signed lines count:
    </p>
    <Commands label="Check a download" lines={[...fetchKey(remote), ...verifyDownload(remote, checksums)]} />
  </>
);
