/** The commands that pages and texts give to readers, as lines for a POSIX shell. */
import type { ReleaseNotes } from '../domain/release.js';
import { shellWord } from './facts.js';
import { fileName } from './links.js';

/** An ostree remote as a reader's machine is going to have it. */
export interface Remote {
  readonly name: string;
  /** Readers' address of the location that holds `repo/`; no slash at its end. */
  readonly url: string;
  /** Address of the signing key. */
  readonly key: string;
}

const remote = (name: string, address: string): Remote => {
  const url = address.replace(/\/+$/, '');
  return { name, url, key: `${url}/signing-key.asc` };
};

export const nightlyRemote = ({ osname, url }: { osname: string; url: string }): Remote =>
  remote(osname, url);

/**
 * Not the name under which nightly builds are known: a machine that follows those has that remote already, and a change to the same
 * ref of the same remote would be refused.
 */
export const releaseRemote = ({
  osname,
  url,
  repo = url,
}: {
  osname: string;
  url: string;
  /** The location of `repo/`, if it is another. */
  repo?: string | undefined;
}): Remote => ({ ...remote(`${osname}-release`, repo), key: remote(osname, url).key });

/** The remote of the releases, as the notes of one say it. */
export const remoteOf = ({ stream, url, repo, signingKey }: ReleaseNotes): Remote => ({
  ...releaseRemote({ osname: stream.osname, url, repo }),
  key: signingKey.url,
});

const keyFile = ({ name }: Remote) => shellWord(`${name}.asc`);

/** Fetches the key and shows whose it is. */
export const fetchKey = (from: Remote): string[] => [
  `curl -fsS -o ${keyFile(from)} ${shellWord(from.key)}`,
  `gpg --show-keys ${keyFile(from)}`,
];

/** Once; harmless again. */
export const addRemote = (to: Remote): string[] => [
  'ostree remote add --if-not-exists \\',
  '  --set=gpg-verify=true --set=gpg-verify-summary=true \\',
  `  --gpg-import=${keyFile(to)} ${shellWord(to.name)} \\`,
  `  ${shellWord(`${to.url}/repo`)}`,
];

/** From any other ref or remote. In a template, `${arch}` becomes what `uname -m` says: one command fits every architecture. */
export function rebase({ name }: Remote, ref: string) {
  const parts = ref.split('${arch}').map((part) => part && shellWord(part));
  const spec = `${shellWord(name)}:${parts.join('$(uname -m)')}`;
  return {
    'rpm-ostree': [`rpm-ostree rebase ${spec}`, 'systemctl reboot'],
    ostree: [`ostree admin switch ${spec}`, 'systemctl reboot'],
  };
}

/** On a machine that follows the ref. */
export const upgrade = {
  'rpm-ostree': ['rpm-ostree upgrade', 'systemctl reboot'],
  ostree: ['ostree admin upgrade', 'systemctl reboot'],
};

/** On a machine that has a release which was taken back. */
export const goBack = {
  'rpm-ostree': ['rpm-ostree upgrade --allow-downgrade', 'systemctl reboot'],
  ostree: ['ostree admin upgrade --allow-downgrade', 'systemctl reboot'],
};

/** After `fetchKey` and the download of images into the current folder. What is not signed is not looked at. */
export function verifyDownload(from: Remote, checksums: string): string[] {
  const list = fileName(checksums).replace(/\.asc$/, '');
  const signed = shellWord(`${list}.asc`);
  return [
    `gpg --import ${keyFile(from)}`,
    `curl -fsS -o ${signed} ${shellWord(checksums)}`,
    `gpg --output ${shellWord(list)} --decrypt ${signed} &&`,
    `  sha256sum --check --ignore-missing ${shellWord(list)}`,
  ];
}
