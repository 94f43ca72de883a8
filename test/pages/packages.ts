/** About 200 packages with the names that RPMs made from Debian packages have, and one hostile name. */
import { createHash } from 'node:crypto';
import type { Lockfile } from '../../src/domain/lockfile.js';

export const hostile = `<script>alert('x')</script>&"<img src=x onerror=alert(1)>`;

export const hash = (text: string) => createHash('sha256').update(text).digest('hex');

const bases =
  'acl adduser apparmor apt base-files base-passwd bash bc bind9-host bsdutils bzip2 ca-certificates chrony ' +
  'cloud-guest-utils conntrack coreutils cpio cron cryptsetup curl dash dbus debconf debianutils diffutils ' +
  'dmsetup dnsmasq-base dosfstools dpkg dracut dracut-core e2fsprogs efibootmgr ethtool fdisk file findutils ' +
  'fuse3 g++-12-base gawk gettext-base git gpgv grep grub-common gzip hostname htop iproute2 iptables iputils-ping ' +
  'jq kbd keyboard-configuration kmod less login logrotate lsb-base lsof lvm2 man-db mawk mdadm mokutil mount ' +
  'nano ncurses-base netbase nftables openssh-client openssh-server openssl ostree ostree-boot parted passwd ' +
  'pciutils perl-base podman procps psmisc python3-minimal readline-common rsync rsyslog runc screen sed ' +
  'sensible-utils skopeo socat strace sudo systemd systemd-sysv tar tcpdump tmux tzdata udev usr-is-merged ' +
  'util-linux vim-tiny wget whiptail xfsprogs xxd xz-utils zlib1g zstd';
const libraries =
  'acl1 apparmor1 apt-pkg6.0 archive13 argon2-1 assuan0 attr1 audit1 blkid1 bpf1 brotli1 bz2-1.0 c6 cap-ng0 cap2 ' +
  'com-err2 crypt1 cryptsetup12 curl4 db5.3 devmapper1.02.1 edit2 elf1 expat1 ext2fs2 fdisk1 ffi8 fido2-1 ' +
  'gcc-s1 gcrypt20 glib2.0-0 gmp10 gnutls30 gpg-error0 gpgme11 gssapi-krb5-2 hogweed6 idn2-0 ip4tc2 json-c5 ' +
  'k5crypto3 keyutils1 kmod2 krb5-3 ldap-2.5-0 lz4-1 lzma5 magic1 mnl0 mount1 ncursesw6 nettle8 nftables1 ' +
  'nghttp2-14 ostree-1-1 p11-kit0 pam0g pcre2-8-0 popt0 proc2-0 psl5 readline8 rtmp1 sasl2-2 seccomp2 selinux1 ' +
  'semanage2 sepol2 slirp0 smartcols1 ss2 ssh2-1 ssl3 stdc++6 systemd0 tasn1-6 tinfo6 tirpc3 udev1 unistring2 ' +
  'uuid1 xtables12 xxhash0 zstd1';

/** Packages of a build; the newer one has a later kernel and openssl. */
export function lockfileOf(newer: boolean): Lockfile {
  const kernel = newer ? '6.1.158-1' : '6.1.153-1';
  const names = [...bases.split(' '), ...libraries.split(' ').map((name) => `lib${name}`)];
  const versions: Record<string, [string, string]> = {
    'linux-image-6.1.0-41-amd64': [kernel, 'linux-signed-amd64'],
    openssl: [newer ? '3.0.17-1~deb12u3' : '3.0.17-1~deb12u2', 'openssl'],
    'libstdc++6': ['12.2.0-14+deb12u1', 'gcc-12'],
    bsdutils: ['1:2.38.1-5+deb12u3', 'util-linux'],
  };
  const packages = [...names, 'linux-image-6.1.0-41-amd64', hostile].map((name, index) => {
    const [version, source] = versions[name] ?? [
      `${1 + (index % 7)}.${index % 13}.${index % 5}-${1 + (index % 3)}`,
      name,
    ];
    const evra = `${version}.${index % 9 === 0 ? 'noarch' : 'x86_64'}`;
    const sourcerpm = `${source}-${version.replace(/^\d+:/, '')}.src.rpm`;
    return [name, { evra, digest: `sha256:${hash(name + version)}`, sourcerpm, repo: 'sample' }] as const;
  });
  return {
    metadata: {
      generated: '2026-11-23T02:30:11Z',
      rpmmd_repos: { sample: { generated: '2026-11-23T01:00:00Z' } },
    },
    packages: Object.fromEntries(packages),
  };
}
