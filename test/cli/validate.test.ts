/** `treeline validate` on real folders, files and keys. */
import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { inspectStream, type Findings } from '../../src/cli/inspect.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, settingsOf } from '../streams/tiny-stream.js';

describe('validate', function () {
  let s: Scratch;
  /** Public keys by what is odd about them, and one secret key. */
  const keys: Record<string, string> = {};

  before(async () => {
    s = await makeScratch('validate');
    const gpg = (home: string, ...args: string[]) =>
      s.step.run(
        [
          'gpg',
          '--homedir',
          home,
          '--batch',
          '--no-tty',
          '--passphrase',
          '',
          '--pinentry-mode',
          'loopback',
          ...args,
        ],
        { capture: 'all' },
      );
    const then = ['--faked-system-time', '20200101T000000'];
    for (const [name, args, subkey] of [
      ['good', ['ed25519', 'sign', '0'], undefined],
      ['expired', ['ed25519', 'sign', '30d'], undefined],
      ['subkey', ['ed25519', 'cert', '0'], ['ed25519', 'sign', '30d']],
    ] as const) {
      const home = s.at('gnupg', name);
      await s.step.run(['mkdir', '-p', '-m', '700', home]);
      await gpg(home, ...then, '--quick-generate-key', name, ...args);
      const fingerprint = /^fpr:+([0-9A-F]+)/m.exec(
        (await gpg(home, '--with-colons', '--list-keys')).stdout,
      )?.[1];
      if (subkey) await gpg(home, ...then, '--quick-add-key', fingerprint ?? '', ...subkey);
      keys[name] = (await gpg(home, '--armor', '--export')).stdout;
      if (name === 'good') keys.secret = (await gpg(home, '--armor', '--export-secret-keys')).stdout;
      await s.step.run(['gpgconf', '--homedir', home, '--kill', 'all']);
    }
  });
  after(() => s.remove());

  const valid = good
    .replace('[keys/base.asc, /abs/other.asc]', '[keys/base.asc]')
    .replace('${state}/keys/treeline.asc', 'keys/signing.asc');
  const treefile =
    'ref: tiny/${basearch}/standard\nrepos: [base]\npackages: [a]\npostprocess-script: post.sh\n';

  /** A whole stream with these files instead of or beside its own; the findings without the folder. */
  async function inspect(
    files: Readonly<Record<string, string>> = {},
    more?: (folder: string) => Promise<unknown>,
  ) {
    const folder = s.at('streams/tiny');
    await s.step.run(['rm', '-rf', folder]);
    const all = {
      'stream.yaml': valid,
      'treefile.yaml': treefile,
      'post.sh': '#!/usr/bin/bash\n',
      'keys/base.asc': keys.good ?? '',
      'keys/signing.asc': keys.good ?? '',
      ...files,
    };
    for (const [path, content] of Object.entries(all)) await s.write(`streams/tiny/${path}`, content);
    await more?.(folder);
    const plain = (lines: readonly string[]) => lines.map((line) => line.replaceAll(`${folder}/`, ''));
    const { errors, warnings }: Findings = await inspectStream(settingsOf(s), 'tiny', s.step);
    return { errors: plain(errors), warnings: plain(warnings) };
  }
  const wrong = (title: string, files: Readonly<Record<string, string>>, ...expected: RegExp[]) =>
    it(title, async () => {
      const { errors } = await inspect(files);
      assert.equal(errors.length, expected.length, errors.join('\n'));
      for (const [place, pattern] of expected.entries()) assert.match(errors[place]!, pattern);
    });
  const stream = (from: string, to: string) => {
    assert.ok(valid.includes(from), from);
    return { 'stream.yaml': valid.replace(from, to) };
  };
  const forRpmOstree = valid
    .replace('composer: dnf', 'composer: rpm-ostree')
    .replace('${web}/rpms', 'https://example.org/rpms');

  it('finds nothing wrong with a whole stream', async () =>
    assert.deepEqual(await inspect(), { errors: [], warnings: [] }));
  it('nor with one for rpm-ostree', async () =>
    assert.deepEqual(await inspect({ 'stream.yaml': forRpmOstree }), { errors: [], warnings: [] }));

  wrong(
    'no treefile',
    stream('treefile: treefile.yaml', 'treefile: gone.yaml'),
    /^gone\.yaml: no such file$/,
  );
  wrong(
    'mistakes of stream file, treefile and script together',
    { ...stream('id: base', 'id: other'), 'treefile.yaml': `${treefile}ref: x\n` },
    /^treefile\.yaml:5: .*unique/,
  );
  wrong(
    'a repo that the stream does not declare, and another ref',
    { 'treefile.yaml': 'ref: tiny/${basearch}/other\nrepos: [base, updates]\nreleasever: 2\n' },
    /^treefile\.yaml:1: ref: is `tiny\/x86_64\/other`, but the stream's is `tiny\/x86_64\/standard`: make them the same$/,
    /^treefile\.yaml:2: repos\.1: the stream declares no repo `updates`\. It has: base\.$/,
    /^treefile\.yaml:3: releasever: is 2, but the stream's is 1/,
  );
  wrong(
    'what the dnf composer does not do',
    { 'treefile.yaml': `${treefile}install-langs: [de]\n` },
    /^treefile\.yaml:5: install-langs: .*composer: rpm-ostree/,
  );
  wrong(
    'a script that is gone',
    { 'treefile.yaml': treefile.replace('post.sh', 'gone.sh') },
    /^treefile\.yaml:4: postprocess-script: .*gone\.sh|gone\.sh: no such file$/,
  );
  wrong(
    'a repo folder, for rpm-ostree, with the field of the stream file',
    { 'stream.yaml': forRpmOstree.replace('https://example.org/rpms', 'file:///srv/rpms') },
    /^stream\.yaml:10: repos\.0\.baseurl: rpm-ostree verifies packages from `http:\/\/` and `https:\/\/` only/,
  );
  wrong(
    'keys and values of a treefile that rpm-ostree does not know',
    {
      'stream.yaml': forRpmOstree,
      'treefile.yaml':
        'ref: tiny/${basearch}/standard\nrepo: [base]\nselinux: "yes"\nboot-location: both\ninitramfs-args: --no-hostonly\nautomatic-version-prefix: 7\n',
    },
    /^treefile\.yaml:2: repo: unknown field\. Did you mean `repos`\?/,
    /^treefile\.yaml:3: selinux: .*expected boolean/,
    /^treefile\.yaml:4: boot-location: write one of: new, modules, kernel-install/,
    /^treefile\.yaml:5: initramfs-args: .*expected array/,
    /^treefile\.yaml:6: automatic-version-prefix: must be text: put it in quotes, `'7'`/,
  );
  wrong(
    'a script that the kernel cannot start, and a file that rpm-ostree would refuse to include twice',
    {
      'stream.yaml': forRpmOstree,
      'treefile.yaml': `${treefile}include: [a.yaml, b.yaml]\n`,
      'a.yaml': 'units: [x]\ninclude: b.yaml\n',
      'b.yaml': 'units: [y]\n',
      'post.sh': 'echo\n',
    },
    /^a\.yaml:2: include: `b\.yaml` is included a second time, which rpm-ostree refuses/,
    /^treefile\.yaml:4: postprocess-script: .*post\.sh:1: begin the script with `#!`/,
  );
  wrong(
    'a script with CR LF',
    { 'stream.yaml': forRpmOstree, 'post.sh': '#!/usr/bin/bash\r\n' },
    /^treefile\.yaml:4: postprocess-script: .*post\.sh:1: the line ends with CR LF/,
  );
  wrong(
    'files that a treefile for rpm-ostree names',
    {
      'stream.yaml': forRpmOstree,
      'treefile.yaml':
        'ref: tiny/${basearch}/standard\nadd-files: [[gone.conf, /usr/etc/x]]\ncheck-passwd: {type: file, filename: gone}\nconditional-include: [{if: x, include: gone.yaml}]\n',
    },
    /^treefile\.yaml:2: add-files\.0: gone\.conf: no such file$/,
    /^treefile\.yaml:3: check-passwd\.filename: gone: no such file$/,
    /^treefile\.yaml:4: conditional-include\.0\.include: gone\.yaml: no such file$/,
  );

  describe('of keys', () => {
    wrong(
      'names one that is missing in the folder',
      stream('[keys/base.asc]', '[keys/gone.asc]'),
      /^stream\.yaml:11: repos\.0\.gpgKeys\.0: keys\/gone\.asc: no such file$/,
    );
    wrong(
      'names one that is none',
      { 'keys/base.asc': 'hello\n' },
      /^stream\.yaml:11: repos\.0\.gpgKeys\.0: keys\/base\.asc: not an OpenPGP public key$/,
    );
    it('names a signing key that is expired, or whose signing subkey is', async () => {
      const expired = await inspect({ 'keys/signing.asc': keys.expired ?? '' });
      assert.match(expired.errors.join('\n'), /^stream\.yaml:15: signingKey: .* expired on 2020-01-31$/);
      const subkey = await inspect({ 'keys/signing.asc': keys.subkey ?? '' });
      assert.match(
        subkey.errors.join('\n'),
        /^stream\.yaml:15: signingKey: .* cannot sign: .* expired on 2020-01-31$/,
      );
    });
    it('names a secret key in the folder, also where a public one is wanted', async () => {
      const { errors } = await inspect({ 'keys/signing.asc': keys.secret ?? '' });
      assert.match(errors[0] ?? '', /^keys\/signing\.asc: is a secret key: take it away/);
      assert.match(errors[1] ?? '', /^stream\.yaml:15: signingKey: .*is a secret key.*--export/);
    });
    it('warns of repo keys that are expired, and of files that this host lacks', async () => {
      const { errors, warnings } = await inspect({
        'stream.yaml': valid.replace('[keys/base.asc]', '[keys/base.asc, /nowhere/other.asc]'),
        'keys/base.asc': keys.expired ?? '',
      });
      assert.deepEqual(errors, []);
      assert.match(warnings[0] ?? '', /^stream\.yaml:11: repos\.0\.gpgKeys\.0: .* expired on 2020-01-31$/);
      assert.match(
        warnings[1] ?? '',
        /^stream\.yaml:11: repos\.0\.gpgKeys\.1: \/nowhere\/other\.asc: not on this host/,
      );
    });
  });

  it('warns of a start that daylight saving leaves out', async () => {
    const { errors, warnings } = await inspect(stream('30 2 * * *', '30 2 * * *\n  timezone: Europe/Berlin'));
    assert.deepEqual(errors, []);
    assert.match(
      warnings.join('\n'),
      /^stream\.yaml:17: schedule\.cron: \d{4}-03-\d\d 02:30 does not exist in Europe\/Berlin.*nothing starts then/,
    );
  });

  it('names what cannot be kept with a run, and reads none of it', async () => {
    const { errors } = await inspect({}, async (folder) => {
      await s.step.run(['mkfifo', `${folder}/fifo`]);
      await s.step.run(['mknod', `${folder}/zero`, 'c', '1', '5']);
      await symlink('/usr', `${folder}/usr`);
      await symlink('nothing', `${folder}/dangling`);
      await symlink('round', `${folder}/round`);
    });
    assert.deepEqual(errors, [
      'dangling: is a link to nothing',
      'fifo: is not a regular file: remove it',
      'round: is a link to nothing',
      'usr: links to a folder: put the folder itself here',
      'zero: is not a regular file: remove it',
    ]);
  });

  it('reads no stream file, treefile, script or key that is none', async () => {
    for (const name of ['treefile.yaml', 'post.sh', 'keys/base.asc', 'stream.yaml']) {
      const { errors } = await inspect({}, async (folder) => {
        await s.step.run(['rm', `${folder}/${name}`]);
        await s.step.run(['mkfifo', `${folder}/${name}`]);
      });
      assert.ok(errors.length >= 2, errors.join('\n'));
      for (const error of errors) assert.match(error, /is not a regular file/);
    }
  });
});
