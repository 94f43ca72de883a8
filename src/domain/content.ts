/** What the check of a tree's content came to. Free of schemas, so that workflows may import it. */
export interface ContentSummary {
  /** Packages of the tree, all of them as locked. */
  readonly packages: number;
  /** Files, folders and links of these packages that were found as they were packaged. */
  readonly entries: number;
  /** Entries that are left out for a declared reason. */
  readonly leftOut: number;
  /** Entries that scripts have changed after the installation. */
  readonly changed: number;
}

/** In a few words. */
export const contentResult = ({ packages, entries, leftOut, changed }: ContentSummary): string =>
  `${packages} packages, ${entries} files; ${leftOut} left out, ${changed} changed by scripts`;
