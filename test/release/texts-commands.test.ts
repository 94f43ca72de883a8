/** The commands of the release notes, run as they stand there, on a machine that followed the nightly builds. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import type { ReleaseNotes } from '../../src/domain/release.js';
import { clearSignCommand, readKey, signingHome } from '../../src/keys/gpg.js';
import * as commands from '../../src/pages/commands.js';
import { renderRelease } from '../../src/pages/release.js';
import { toMail } from '../../src/release/texts/mail.js';
import { toMarkdown, toMarkdownDownload } from '../../src/release/texts/markdown.js';
import { toMoinDownload } from '../../src/release/texts/moin.js';
import type { RunResult } from '../../src/steps/step.js';
import { ref, Tiny, type Build } from '../publish/tiny.js';
import { tinyNotes } from './notes-fixture.js';

describe('the commands of the release notes', function () {
  let tiny: Tiny;
  let first: Build;
  let notes: ReleaseNotes;
  let remote: commands.Remote;
  const image = 'tiny image.qcow2';

  /** Runs lines of the notes in a shell, in a folder of their own; `--os` stands for the OS that a booted machine knows. */
  const shell = (lines: readonly string[], okCodes: readonly number[] = [0]): Promise<RunResult> =>
    tiny.s.step.run(['sh', '-e'], {
      cwd: tiny.s.at('reader'),
      input: `${lines
        .filter((line) => line !== 'systemctl reboot')
        .join('\n')
        .replace(/ostree admin (switch|upgrade)/, '$& --os=tiny')}\n`,
      env: {
        OSTREE_REPO: tiny.s.at('machine/ostree/repo'),
        OSTREE_SYSROOT: tiny.s.at('machine'),
        HOME: tiny.s.at('reader'),
      },
      okCodes,
    });
  const deployed = async () => /([0-9a-f]{64})\.\d/.exec((await shell(['ostree admin status'])).stdout)?.[1];

  before(async () => {
    tiny = await Tiny.make();
    const { s } = tiny;
    for (const run of ['run-1', 'run-2', 'run-3']) {
      await s.write(`tree-${run}/usr/lib/modules/1/vmlinuz`, 'kernel');
      await s.write(`tree-${run}/usr/lib/modules/1/initramfs.img`, 'initramfs');
      await s.write(`tree-${run}/usr/lib/os-release`, 'ID=tiny\nNAME=Tiny\nVERSION_ID=1\n');
      await s.write(`tree-${run}/usr/etc/tiny`, '');
    }
    // A machine that follows the nightly builds, by the remote and the very ref that the releases have too.
    first = await tiny.build('20261123_01');
    await tiny.publish(first);
    await s.step.run(['cp', '-r', s.at('www/tiny'), s.at('www/nightly')]);
    for (const folder of ['machine', 'reader/.gnupg'])
      await mkdir(s.at(folder), { recursive: true, mode: 0o700 });
    await shell([
      `ostree admin init-fs ${s.at('machine')}`,
      'ostree admin os-init tiny',
      `ostree remote add --gpg-import=${tiny.stream.signingKey} tiny ${tiny.web.url}/nightly/repo`,
      `ostree pull tiny ${ref}`,
      `ostree admin deploy --os=tiny tiny:${ref}`,
    ]);
    const second = await tiny.build('20261123_02', first.commit);
    await tiny.publish(second);
    await copyFile(tiny.stream.signingKey, tiny.target('signing-key.asc'));
    // An image with its signed checksums.
    await s.write(`www/tiny/images/${image}`, 'image');
    await s.step.run(['sh', '-c', 'sha256sum *.qcow2 > sha256sum.txt'], { cwd: tiny.target('images') });
    const { fingerprint } = await readKey(s.step, tiny.stream.signingKey);
    await s.step.run(
      clearSignCommand(signingHome(s.folder), fingerprint, tiny.target('images/sha256sum.txt')),
    );
    const url = `${tiny.web.url}/tiny`;
    notes = {
      ...tinyNotes,
      url,
      signingKey: { fingerprint, user: '', url: `${url}/signing-key.asc` },
      architectures: [
        {
          ...tinyNotes.architectures[0]!,
          ref,
          commit: second.commit,
          checksums: `${url}/images/sha256sum.txt.asc`,
        },
      ],
    };
    remote = commands.remoteOf(notes);
  });
  after(async () => {
    // Deployments are immutable folders.
    await tiny.s.step.run(['chattr', '-R', '-f', '-i', tiny.s.at('machine')], { okCodes: [0, 1] });
    await tiny.remove();
  });

  it('are all in the notes, as they are tried here', () => {
    const [arch] = notes.architectures;
    const rebase = commands.rebase(remote, arch!.ref);
    const all = [
      commands.fetchKey(remote),
      commands.addRemote(remote),
      commands.verifyDownload(remote, arch!.checksums!),
      rebase['rpm-ostree'],
    ];
    for (const lines of all) {
      for (const text of [toMarkdown, toMarkdownDownload, toMoinDownload])
        assert.ok(text(notes).includes(`\n${lines.join('\n')}\n`));
    }
    for (const lines of [commands.fetchKey(remote), commands.addRemote(remote), rebase['rpm-ostree']])
      assert.ok(toMail(notes).text.includes(`\n  ${lines.join('\n  ')}\n`));
    assert.ok(toMarkdown(notes).includes(`\n${rebase.ostree.join('\n')}\n`));
  });

  it('are the same on the page', () => {
    const [arch] = notes.architectures;
    const key = commands.fetchKey(remote);
    const move = commands.rebase(remote, 'tiny/${arch}/standard');
    const blocks = (html: string) =>
      [...html.matchAll(/<code>([^<]*)<\/code><\/pre>/g)].map((match) => match[1]!.replaceAll('&amp;', '&'));
    const shared = [
      [...key, ...commands.addRemote(remote)],
      [...key, ...commands.verifyDownload(remote, arch!.checksums!)],
      ...[commands.upgrade, move].flatMap((ways) => [ways['rpm-ostree'], ways.ostree]),
    ];
    const page = blocks(renderRelease({ notes }));
    for (const lines of shared) assert.ok(page.includes(lines.join('\n')), lines.join('\n'));
    assert.equal(page.length, shared.length);
    const rolledBack = { at: notes.time, to: '20261026_01' };
    const back = blocks(renderRelease({ notes, rolledBack }));
    for (const lines of Object.values(commands.goBack)) assert.ok(back.includes(lines.join('\n')));
  });

  it('name the ref of the machine that they are typed on', async () => {
    const [line = ''] = commands.rebase(remote, 'tiny/${arch}/standard').ostree;
    const { stdout } = await shell([line.replace('ostree admin switch', 'echo'), 'uname -m']);
    const [spec, machine] = stdout.trim().split('\n');
    assert.equal(spec, `tiny-release:tiny/${machine}/standard`);
  });

  it('show whose key it is', async () => {
    assert.match((await shell(commands.fetchKey(remote))).stdout, new RegExp(notes.signingKey.fingerprint));
  });

  it('add the remote, also when it is there already', async () => {
    await shell(commands.addRemote(remote));
    await shell(commands.addRemote(remote));
    const { stdout } = await shell(['ostree remote list --show-urls']);
    assert.match(stdout, new RegExp(`tiny-release +${notes.url}/repo\n`));
    const config = await readFile(tiny.s.at('machine/ostree/repo/config'), 'utf8');
    assert.match(config, /\[remote "tiny-release"\]\nurl=.*\ngpg-verify=true\ngpg-verify-summary=true\n/);
  });

  it('move the machine over, and then bring it the next release', async () => {
    assert.equal(await deployed(), first.commit);
    const [arch] = notes.architectures;
    await shell(commands.rebase(remote, arch!.ref).ostree);
    assert.equal(await deployed(), arch!.commit);
    const third = await tiny.build('20261123_03', arch!.commit);
    await tiny.publish(third);
    await shell(commands.upgrade.ostree);
    assert.equal(await deployed(), third.commit);
  });

  it('return it from a release that was taken back', async () => {
    const [arch] = notes.architectures;
    const repo = `--repo=${tiny.target('repo')}`;
    await tiny.s.step.run(['ostree', repo, 'refs', '--force', `--create=${ref}`, arch!.commit]);
    const signed = [
      `--gpg-sign=${notes.signingKey.fingerprint}`,
      `--gpg-homedir=${signingHome(tiny.s.folder)}`,
    ];
    await tiny.s.step.run(['ostree', repo, 'summary', '--update', ...signed]);
    await shell(commands.goBack.ostree);
    assert.equal(await deployed(), arch!.commit);
  });

  it('refuse commits that another key signed', async () => {
    const forged = await tiny.build('20261123_04', undefined, { unsigned: true });
    await tiny.s.step.run([
      'ostree',
      `--repo=${tiny.target('repo')}`,
      'pull-local',
      '--untrusted',
      tiny.staging,
      forged.commit,
    ]);
    const { exitCode, stderr } = await shell([`ostree pull tiny-release ${forged.commit}`], [0, 1]);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /GPG/);
  });

  it('verify a download, and refuse one that was changed', async () => {
    const { checksums } = notes.architectures[0]!;
    await copyFile(tiny.target('images', image), tiny.s.at('reader', image));
    const good = await shell(commands.verifyDownload(remote, checksums!));
    assert.match(good.stderr, /Good signature/);
    assert.match(good.stdout, /tiny image\.qcow2: OK/);
    await tiny.s.write(`reader/${image}`, 'other');
    const bad = await shell(['rm sha256sum.txt', ...commands.verifyDownload(remote, checksums!)], [0, 1]);
    assert.match(bad.stdout, /tiny image\.qcow2: FAILED/);
    assert.equal(bad.exitCode, 1);
    await tiny.s.write(
      'www/tiny/images/sha256sum.txt.asc',
      (await readFile(tiny.target('images/sha256sum.txt.asc'), 'utf8')).replace('.qcow2', '.raw'),
    );
    const forged = await shell(
      ['rm sha256sum.txt', ...commands.verifyDownload(remote, checksums!)],
      [0, 1, 2],
    );
    assert.notEqual(forged.exitCode, 0);
    assert.doesNotMatch(forged.stdout, /OK/);
  });
});
