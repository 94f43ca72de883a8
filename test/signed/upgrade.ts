/** A machine booted from an image upgrades itself from the served mirror. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { createWriteStream } from 'node:fs';
import { chmod, cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildMeta } from '../../src/domain/metadata.js';
import { createStep } from '../../src/steps/run.js';
import { startGuest, type Guest } from '../support/guest.js';
import type { TestInstance } from '../support/instance.js';

export interface UpgradeInput {
  readonly disk: string;
  readonly work: string;
  readonly from: BuildMeta;
  readonly tools: string;
  /** Where the repo is below the instance's web root. */
  readonly place: string;
}

const remote = '/etc/ostree/remotes.d/sample.conf';

export async function upgrade(
  instance: TestInstance,
  { disk, work, from, tools, place }: UpgradeInput,
): Promise<void> {
  const controller = new AbortController();
  const step = createStep({
    signal: controller.signal,
    log: createWriteStream(join(work, 'guest.log')),
    path: tools,
    home: work,
  });
  const boot = () =>
    startGuest(step, {
      disk,
      format: 'qcow2',
      work,
      memoryMiB: 1024,
      cpus: 2,
      timeoutSeconds: 600,
      size: 4 * 2 ** 30,
    });
  const booted = async (guest: Guest) =>
    /^\* .* ([0-9a-f]{64})\.\d+$/m.exec((await guest.ssh(['ostree', 'admin', 'status'])).stdout)?.[1];
  /** The remote of the tree names the default port of the host; this instance serves elsewhere. */
  const pointTo = (guest: Guest, path: string) =>
    guest.ssh([
      'sudo',
      'sed',
      '-i',
      `s#^url=.*#url=http://10.0.2.2:${instance.settings.webPort}/${path}#`,
      remote,
    ]);
  const head = (
    await readFile(join(instance.store().www(), place, 'repo/refs/heads', from.ref), 'utf8')
  ).trim();

  let guest = await boot();
  try {
    assert.equal(await booted(guest), from['ostree-commit']);
    const { stdout: size } = await guest.ssh([
      'findmnt',
      '--noheadings',
      '--bytes',
      '--output',
      'SIZE',
      '/sysroot',
    ]);
    assert.ok(Number(size) > 3.5 * 2 ** 30, `the root has grown to ${size.trim()} bytes`);
    const { stdout: failed } = await guest.ssh(['systemctl', '--failed', '--no-legend']);
    assert.equal(failed.trim(), '');
    assert.match(
      (await guest.ssh(['cat', remote])).stdout,
      /gpg-verify=true[\s\S]*gpg-verify-summary=true|gpg-verify-summary=true[\s\S]*gpg-verify=true/,
    );

    await pointTo(guest, 'evil/repo');
    await publishEvil(instance, place, from.ref);
    await assert.rejects(guest.ssh(['sudo', 'ostree', 'admin', 'upgrade']), /[Ss]ignature|GPG/);

    await pointTo(guest, `${place}/repo`);
    await guest.ssh(['sudo', 'ostree', 'admin', 'upgrade']);
    await guest.stop();
    guest = await boot();
    assert.notEqual(head, from['ostree-commit']);
    assert.equal(await booted(guest), head);
  } finally {
    await guest.stop();
    controller.abort();
  }
}

/** A repo with a newer commit, all of it signed, but by a stranger. */
async function publishEvil(instance: TestInstance, place: string, ref: string): Promise<void> {
  const evil = join(instance.store().www(), 'evil');
  const home = join(instance.settings.state, 'stranger');
  await mkdir(home, { mode: 0o700 });
  await chmod(home, 0o700);
  await mkdir(evil);
  await cp(join(instance.store().www(), place, 'repo'), join(evil, 'repo'), { recursive: true });
  const gpg = ['--homedir', home, '--batch', '--passphrase', ''];
  await execa('gpg', [...gpg, '--quick-generate-key', 'Stranger', 'ed25519', 'sign', '1d']);
  const { stdout } = await execa('gpg', [...gpg, '--with-colons', '--list-keys', 'Stranger']);
  const key = /^fpr:+([0-9A-F]{40}):/m.exec(stdout)?.[1] ?? '';
  const repo = `--repo=${evil}/repo`;
  const sign = [`--gpg-sign=${key}`, `--gpg-homedir=${home}`];
  // What is published lacks the folders that only a writer needs.
  await execa('ostree', [repo, 'init', '--mode=archive']);
  const { stdout: parent } = await execa('ostree', [repo, 'rev-parse', ref]);
  const content = [`--branch=${ref}`, `--parent=${parent}`, `--tree=ref=${ref}`];
  await execa('ostree', [repo, 'commit', ...content, '--add-metadata-string=version=evil', ...sign]);
  await execa('ostree', [repo, 'summary', '--update', ...sign]);
  await execa('gpgconf', ['--homedir', home, '--kill', 'all']);
}
