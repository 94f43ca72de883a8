/** A guest to work in: boots a disk, keeps what it writes between boots, and runs commands in it by ssh. */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../src/domain/failures.js';
import type { RunOptions, RunResult, Step } from '../../src/steps/step.js';
import { startMachine } from '../../src/images/qemu.js';
import { makeSeed } from '../../src/images/seed.js';
import { chooseAccelerator, markKvmUnusable } from '../../src/images/virtualization.js';
import { freePort } from './ports.js';

export interface GuestOptions {
  disk: string;
  format: 'qcow2' | 'raw';
  /** Folder of this guest: overlay, key, console log. The same folder continues the same guest. */
  work: string;
  memoryMiB: number;
  cpus: number;
  /** Until ssh answers. */
  timeoutSeconds: number;
  /** Virtual size of the guest's disk in bytes, to try growth; default the image's own. */
  size?: number;
  /** A login that the image has already; without it cloud-init makes the user `treeline` with a new key. */
  login?: { user: string; keyFile: string };
}

export interface Guest {
  /** Path of the console log of this boot. */
  readonly console: string;
  /** Until ssh answered. */
  readonly seconds: number;
  /** Runs a command in the guest. The user may use sudo without a password. */
  ssh(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Shuts down (at most a minute), then ends QEMU. */
  stop(): Promise<void>;
}

/**
 * Boots the guest and waits until ssh answers. The guest reaches this host as 10.0.2.2; ssh is forwarded from a free
 * loopback port. A reboot in the guest ends it: start it again. Throws BootTestFailed when ssh does not answer.
 */
export async function startGuest(step: Step, options: GuestOptions): Promise<Guest> {
  const { work, disk, format, size, timeoutSeconds } = options;
  const overlay = join(work, 'guest.qcow2');
  const console = join(work, 'console.log');
  if (!(await exists(overlay))) {
    const sizeArgv = size === undefined ? [] : [`${size}`];
    await step.run([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      format,
      '-b',
      disk,
      overlay,
      ...sizeArgv,
    ]);
  }
  const login = options.login ?? { user: 'treeline', keyFile: join(work, 'id_ed25519') };
  const seed = options.login ? undefined : await seedFor(step, work, login);
  const port = await freePort();
  const network = `hostfwd=tcp:127.0.0.1:${port}-:22`;
  const kvm = { wanted: 'auto', record: join(work, 'kvm.json'), cpuinfo: '/proc/cpuinfo' } as const;
  await rm(console, { force: true });
  const { accelerator } = await chooseAccelerator(step, kvm);
  const machine = await startMachine(step, {
    ...options,
    accelerator,
    disk: overlay,
    console,
    seed,
    network,
  });
  const started = Date.now();
  const seconds = () => (Date.now() - started) / 1000;

  const once = (argv: readonly string[], runOptions: RunOptions) =>
    step.run(
      [
        'ssh', '-F', '/dev/null', '-i', login.keyFile, '-p', `${port}`, ...sshOptions, `${login.user}@127.0.0.1`, '--',
        ...argv.map(quoted),
      ], // prettier-ignore
      runOptions,
    );
  // cloud-init starts the ssh server again while the guest boots: a connection that never came about is tried again.
  const ssh = async (argv: readonly string[], runOptions: RunOptions = {}) => {
    const okCodes = runOptions.okCodes ?? [0];
    for (let attempt = 1; ; attempt++) {
      const result = await once(argv, { ...runOptions, okCodes: [...okCodes, 255] });
      if (result.exitCode !== 255 || okCodes.includes(255)) return result;
      if (attempt >= connectAttempts || !neverConnected.test(result.stderr))
        throw new Failure('CommandFailed', `ssh: ${result.stderr.trim()}`);
      await sleep(2000);
    }
  };
  const stop = async () => {
    await machine.powerDown();
    await Promise.race([machine.ended, sleep(60_000, undefined, { ref: false })]);
    await machine.quit();
  };
  // 255 is ssh's own code: no connection yet, or no user yet.
  while ((await ssh(['true'], { okCodes: [0, 255] })).exitCode !== 0) {
    const { end } = machine;
    if (end || seconds() > timeoutSeconds) {
      await machine.quit();
      if (end?.how === 'kvm') {
        await markKvmUnusable(step, kvm, end.reason);
        return startGuest(step, options);
      }
      const why = end ? `the guest ended (${end.how})` : `no ssh in ${timeoutSeconds} s`;
      throw new Failure('BootTestFailed', `${why}; its console is in ${console}`);
    }
    await sleep(1000);
  }
  return { console, seconds: seconds(), ssh, stop };
}

const connectAttempts = 10;
/** What ssh says when it has not run the command. */
const neverConnected = /kex_exchange_identification|banner exchange|connect to host/;

const sshOptions = [
  'BatchMode=yes', 'IdentitiesOnly=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null',
  'ConnectTimeout=5', 'LogLevel=ERROR',
].flatMap((option) => ['-o', option]); // prettier-ignore

async function seedFor(step: Step, work: string, { user, keyFile }: { user: string; keyFile: string }) {
  if (!(await exists(keyFile)))
    await step.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', user, '-f', keyFile]);
  const { stdout } = await step.run(['ssh-keygen', '-y', '-f', keyFile]);
  const account = {
    name: user,
    shell: '/bin/bash',
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    ssh_authorized_keys: [stdout.trim()],
  };
  return makeSeed(step, work, 'treeline-guest', { users: [account], ssh_pwauth: false });
}

/** The far shell takes the words apart again. */
const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
