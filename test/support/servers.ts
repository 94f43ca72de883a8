/** Real servers on loopback that rsync can write to. They end with the test, by their process id, or when it dies. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Failure } from '../../src/domain/failures.js';
import { until, type Scratch } from '../steps/scratch.js';
import { freePort } from './ports.js';

export interface Server {
  readonly port: number;
  close(signal?: NodeJS.Signals): Promise<void>;
}

const answers = (port: number) =>
  new Promise<true | undefined>((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(undefined));
  });

async function start(port: number, argv: string[]): Promise<Server> {
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await until(`${argv.join(' ')} to listen`, () => {
    if (child.exitCode !== null) throw new Error(`${argv.join(' ')} ended with ${child.exitCode}`);
    return answers(port);
  });
  return {
    port,
    async close(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
}

/** An rsync daemon with the modules of `config`, in rsyncd.conf's words; its own file goes into `folder`. */
export async function startRsyncDaemon(folder: string, config: string, usedPort?: number): Promise<Server> {
  const port = usedPort ?? (await freePort());
  const file = join(folder, 'rsyncd.conf');
  await writeFile(file, `use chroot = no\nuid = root\ngid = root\n${config}`);
  return start(port, [
    'rsync',
    '--daemon',
    '--no-detach',
    '--address=127.0.0.1',
    `--port=${port}`,
    `--config=${file}`,
  ]);
}

/** A beanstalkd; with a folder for its binlog it remembers its jobs. */
export async function startBeanstalkd(binlog?: string, usedPort?: number): Promise<Server> {
  const port = usedPort ?? (await freePort());
  const options = binlog === undefined ? [] : ['-b', binlog];
  return start(port, ['beanstalkd', '-l', '127.0.0.1', '-p', String(port), ...options]);
}

export interface SshServer extends Server {
  readonly identityFile: string;
  readonly knownHostsFile: string;
}

/** An sshd that lets root in with a key of its own. */
export async function startSshd(s: Scratch): Promise<SshServer> {
  const port = await freePort();
  const [hostKey, identityFile] = [s.at('ssh-host-key'), s.at('ssh-user-key')];
  for (const file of [hostKey, identityFile])
    await s.step.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file]);
  await s.write('authorized_keys', await readFile(`${identityFile}.pub`, 'utf8'));
  await chmod(s.at('authorized_keys'), 0o600);
  const knownHostsFile = await s.write(
    'known_hosts',
    `[127.0.0.1]:${port} ${await readFile(`${hostKey}.pub`, 'utf8')}`,
  );
  const settings = [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${s.at('authorized_keys')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
  ];
  const config = await s.write('sshd_config', settings.map((line) => `${line}\n`).join(''));
  // sshd wants /run/sshd: it gets a /run of its own. And a root whose password is not locked.
  const script = `mount -t tmpfs none /run && mkdir -m 755 /run/sshd && sed 's/^root:[^:]*:/root:*:/' /etc/shadow > "$1" && mount --bind "$1" /etc/shadow && exec /usr/sbin/sshd -D -f "$0"`;
  const server = await start(port, ['unshare', '--mount', '--', 'sh', '-c', script, config, s.at('shadow')]);
  return { ...server, identityFile, knownHostsFile };
}

/** For `assert.rejects`: a failure of this code. */
export const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code, `${error.code}: ${error.message}`);
  assert.match(error.message, message);
  return true;
};
