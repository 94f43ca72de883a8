/** What the sample distribution is made of. Everything here is data: the recipe's digest covers it. */

/** Raise it when a change in the code makes other RPMs of the same data: instances then make theirs again. */
export const recipeVersion = 2;

/** Debian packages to ask for; apt adds what they depend on. */
export const manifest: readonly string[] = [
  // A kernel, its userland and a shell.
  'linux-image-cloud-amd64',
  'systemd',
  'systemd-sysv',
  'systemd-resolved',
  'udev',
  'dbus',
  'kmod',
  'bash',
  'coreutils',
  'util-linux',
  'mount',
  'login',
  'passwd',
  'libc-bin',
  'base-files',
  'base-passwd',
  'netbase',
  'iproute2',
  'hostname',
  'grep',
  'sed',
  'gzip',
  'findutils',
  'tar',
  'diffutils',
  'e2fsprogs',
  'usr-is-merged',
  // The ostree deployment and its initramfs.
  'ostree',
  'ostree-boot',
  'dracut',
  // First-boot provisioning and remote login.
  'cloud-init',
  'openssh-server',
  'sudo',
  'ca-certificates',
];

/** Debian's kernel packages carry their release in the name; the RPM made from one has this name instead. */
export const kernelPackage = /^linux-image-(\d[^_]*)-cloud-amd64$/;
export const kernelName = 'kernel';

/** Packages that are not made into RPMs: the kernel's metapackage, which would ask for the name that was just dropped. */
export const skipped: readonly string[] = ['linux-image-cloud-amd64'];

/** Packages of the sample's own with a program to compile: `packages/<name>/<name>.spec`, and the tarball's content in `source/`. */
export const compiledPackages: readonly string[] = ['treeline-sample-tools'];

/** Debian packages that get a source RPM too: its tarball has the files, so that there is something to rebuild for them. */
export const debsWithSource: readonly string[] = ['netbase', 'usr-is-merged'];

/** Paths (relative to the root) that are left out of every RPM. */
export const leftOut: readonly RegExp[] = [
  /^usr\/share\/(man|info|locale|lintian|doc-base|bug|menu|gtk-doc)(\/|$)/,
  /^usr\/share\/doc\/[^/]+\/(?!copyright$).+/,
  /^var\/(lib\/dpkg|cache\/apt|lib\/apt|run|lock|local|mail)(\/|$)/,
  // The release RPM has these with the sample's own content.
  /^(etc|usr\/lib)\/(os-release|issue|issue\.net|motd|debian_version)$/,
  /^etc\/cloud\/(cloud\.cfg|cloud\.cfg\.d\/.+|templates\/.+(?<!\.debian\.tmpl))$/,
  /^etc\/(host\.conf|nsswitch\.conf|resolv\.conf)$/,
  // Written for a system where dpkg removes packages, or for initramfs-tools.
  /^usr\/share\/initramfs-tools(\/|$)/,
  /^etc\/(kernel|init\.d|rc[0-9S]\.d|default\/grub\.d)(\/|$)/,
];

/** Owner, group and mode that Debian's maintainer scripts set after the files are in place. */
export const attributes: Readonly<Record<string, { mode: number; user: string; group: string }>> = {
  'usr/lib/dbus-1.0/dbus-daemon-launch-helper': { mode: 0o4754, user: 'root', group: 'messagebus' },
  'usr/bin/ssh-agent': { mode: 0o2755, user: 'root', group: '_ssh' },
  'etc/shadow': { mode: 0o640, user: 'root', group: 'shadow' },
  'etc/gshadow': { mode: 0o640, user: 'root', group: 'shadow' },
  root: { mode: 0o700, user: 'root', group: 'root' },
  tmp: { mode: 0o1777, user: 'root', group: 'root' },
};

export interface OwnPackage {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly summary: string;
  readonly requires: readonly string[];
  readonly provides: readonly string[];
}

/**
 * RPMs with the sample's own files, from `packages/<name>/`. Every other package requires the first two, which require
 * nothing else: so they are installed first, and files find the groups that own them.
 */
export const ownPackages: readonly OwnPackage[] = [
  {
    name: 'filesystem',
    version: '1',
    release: '1',
    summary: 'The root folder layout',
    requires: [],
    provides: [],
  },
  {
    name: 'setup',
    version: '1',
    release: '1',
    summary: 'Accounts and basic configuration files',
    requires: ['filesystem'],
    // The link to bash is one of its files.
    provides: ['/bin/sh'],
  },
  {
    name: 'treeline-sample-release',
    version: '1',
    release: '1',
    summary: 'Identity, update source and first-boot behaviour of the Treeline sample distribution',
    requires: [
      'filesystem',
      'setup',
      'bash',
      'coreutils',
      'libc-bin',
      'systemd',
      'udev',
      'ca-certificates',
      'openssh-server',
    ],
    provides: [],
  },
];

/**
 * Folders that only `filesystem` owns, so that no other RPM has a say about them. `dev`, `proc`, `run` and `sys` are
 * left to the composer, which has something mounted there.
 */
export const baseFolders: readonly string[] = [
  'boot',
  'etc',
  'home',
  'media',
  'mnt',
  'opt',
  'root',
  'srv',
  'tmp',
  'usr',
  'usr/bin',
  'usr/lib',
  'usr/lib64',
  'usr/local',
  'usr/sbin',
  'usr/share',
  'usr/share/doc',
  'usr/lib/x86_64-linux-gnu',
  'var',
  'var/cache',
  'var/lib',
  'var/log',
  'var/spool',
  'var/tmp',
  'var/opt',
];
/** Links of `filesystem`: the merged /usr. */
export const baseLinks: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  sbin: 'usr/sbin',
};
