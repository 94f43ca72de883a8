/** The cause in what programs print, on outputs that real programs printed (`test/recorded/commands.txt`). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/settings.js';
import { causeOf } from '../../src/steps/cause.js';

const causes: Readonly<Record<string, string>> = {
  'rsync-no-source': 'rsync: [sender] link_stat "/srv/none" failed: No such file or directory (2)',
  'rsync-ssh-refused': 'ssh: connect to host 127.0.0.1 port 1: Connection refused',
  'rsync-no-mkdir': 'rsync: [Receiver] mkdir "/proc/none/a/b" failed: No such file or directory (2)',
  'ostree-no-repo': 'error: opening repo: opendir(/srv/none): No such file or directory',
  'ostree-no-ref': "error: Refspec 'nope' not found",
  'ostree-refused':
    "error: While fetching http://127.0.0.1:1/repo/summary.sig: [7] Couldn't connect to server",
  'gpg-no-key': 'gpg: signing failed: No secret key',
  'gpgv-bad': "gpgv: can't open 'none.sig': No such file or directory",
  'gpg-noexist': "gpg: can't open 'none.asc': No such file or directory",
  'mkfs-missing': 'The file nodir/none does not exist and no size was specified.',
  'mkfs-full': 'mkfs.ext4: No space left on device while writing out and closing file system',
  'qemu-img-missing':
    "qemu-img: Could not open 'none.raw': Could not open 'none.raw': No such file or directory",
  'qemu-img-format': "qemu-img: Could not open 'big': Image is not in qcow2 format",
  'createrepo-missing': 'Directory none/ must exist',
  'depmod-none': 'depmod: ERROR: could not open directory /lib/modules/9.9.9: No such file or directory',
  'systemctl-nounit': 'Failed to enable unit, unit nounit.service does not exist.',
  'dracut-none': 'dracut: Cannot find module directory /lib/modules/9.9.9/',
  'python-traceback':
    'json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)',
  'bwrap-nosource': "bwrap: Can't find source path /none/tree: No such file or directory",
  'bwrap-noprogram': 'bwrap: execvp nothere: No such file or directory',
  'sh-set-e': "cp: cannot stat 'none': No such file or directory",
  'sfdisk-bad': 'sfdisk: cannot open none.img: No such file or directory',
  'extlinux-bad': 'extlinux: Not a directory: none',
  'git-none': 'fatal: not a git repository (or any parent up to mount point /srv)',
  'rpmbuild-compile': 'foo.c:1:25: error: ‘undeclared’ undeclared (first use in this function)',
  'rpm-deps': 'error: Failed dependencies: not-there >= 2 is needed by odd-dep-1-1.noarch',
  'rpm-missing-file': 'error: open of none.rpm failed: No such file or directory',
  'rpm-not-rpm': 'error: big: not an rpm package (or package manifest):',
  'rpm-pre': 'error: %prein(odd-pre-1-1.noarch) scriptlet failed, exit status 1',
  'rpm-pre-killed': 'error: %prein(odd-kill-1-1.noarch) scriptlet failed, signal 9',
  'dnf-norepo':
    "Errors during downloading metadata for repository 'x': Curl error (7): Couldn't connect to server for http://127.0.0.1:1/repodata/repomd.xml [Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server]",
  rpmsign: 'error: Could not exec gpg: No such file or directory',
};

describe('the cause of a failed command', () => {
  const recorded = readFileSync(join(packageRoot, 'test/recorded/commands.txt'), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [name = '', , ...lines] = section.trimEnd().split('\n');
      const stdout = lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2));
      const stderr = lines.filter((line) => !line.startsWith('> '));
      return { name, stdout: stdout.join('\n'), stderr: stderr.join('\n') };
    });

  it('every recording is in the table', () => {
    assert.deepEqual(recorded.map(({ name }) => name).sort(), Object.keys(causes).sort());
  });
  for (const { name, stdout, stderr } of recorded)
    it(name, () => assert.equal(causeOf(stdout, stderr), causes[name]));

  it('takes the exception that ended a program, not one that it caught', () => {
    const caught = 'Traceback (most recent call last):\n  File "a"\nKeyError: 1\n';
    assert.equal(
      causeOf(
        '',
        `${caught}\nDuring handling of the above exception, another exception occurred:\n\n` +
          'Traceback (most recent call last):\n  File "b"\nOSError: the disk is gone\n',
      ),
      'OSError: the disk is gone',
    );
  });

  it('is the last line where none reads like an error, of standard error first', () => {
    assert.equal(causeOf('one\ntwo\n', ''), 'two');
    assert.equal(causeOf('one\ntwo\n', 'three\n\n'), 'three');
    assert.equal(causeOf('fatal: it broke\n', 'chatter\n'), 'fatal: it broke');
    assert.equal(causeOf('', ''), '');
  });

  it('passes over warnings, colours and what a progress display wrote over', () => {
    const text =
      'WARNING: cannot find a thing\n10 %\r50 %\rmake: *** [all] failed\r\n\x1b[31m3 errors\x1b[0m\n';
    assert.equal(causeOf('', text), 'make: *** [all] failed');
  });

  it('is bounded', () => assert.equal(causeOf('', `error: ${'x'.repeat(9000)}`).length, 301));
});
