/** What the check of a tree's content came to. Free of schemas, so that workflows may import it. */

/** How many entries there are, by reason: a key of `reasonTexts`, or a key of the treefile. */
export type Counts = Readonly<Record<string, number>>;

export interface ContentSummary {
  /** Packages of the tree, all of them as locked. */
  readonly packages: number;
  /** Files, folders and links of these packages that are in the commit as they were packaged. */
  readonly entries: number;
  /** Entries that are left out for a declared reason. */
  readonly leftOut: Counts;
  /** Entries that were changed after the installation. */
  readonly changed: Counts;
}

/** Reasons that are not simply a key of the treefile. */
const reasonTexts: Readonly<Record<string, string>> = {
  'at-boot': 'made at boot by systemd-tmpfiles',
  var: 'of the machine: /var starts empty',
  boot: 'of the machine: the kernel and its initramfs are in /usr/lib/modules',
  'mount-point': 'below a mount point',
  'special-file': 'neither file, folder nor link: ostree stores nothing else',
  documentation: 'documentation: false',
  replaced: 'of another package',
  'wrong-color': 'of the package of another architecture',
  'not-installed': 'not installed by rpm',
  'net-shared': 'in a folder that is shared by the network',
  scriptlet: 'a scriptlet of a package',
  composer: 'the composer',
  'rpm-ostree': 'rpm-ostree or a script of the treefile',
};

export const reasonText = (reason: string): string => reasonTexts[reason] ?? reason;

/** Reasons that are how any tree of ostree is, and no one's decision. */
const usual = new Set(['at-boot', 'mount-point', 'documentation', 'install-langs']);

export const sum = (counts: Counts): number => Object.values(counts).reduce((all, one) => all + one, 0);

export const countReasons = (list: readonly { readonly reason: string }[]): Counts => {
  const counts: Record<string, number> = {};
  for (const { reason } of list) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
};

/** Those of a list that a person may want to look at. */
export const notable = <T extends { readonly reason: string }>(list: readonly T[]): readonly T[] =>
  list.filter(({ reason }) => !usual.has(reason));

const countsText = (counts: Counts): string =>
  Object.entries(counts)
    .map(([reason, count]) => `${count} ${reasonText(reason)}`)
    .join(', ');

/** In a few words. */
export const contentResult = ({ packages, entries, leftOut, changed }: ContentSummary): string =>
  [
    `${packages} packages, ${entries} files`,
    ...(sum(leftOut) > 0 ? [`${sum(leftOut)} left out (${countsText(leftOut)})`] : []),
    ...(sum(changed) > 0 ? [`${sum(changed)} changed (${countsText(changed)})`] : []),
  ].join('; ');
