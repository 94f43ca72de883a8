/**
 * A QEMU under whose KVM small guests run and others are stopped after a second, as on machines without the processor's help. It is
 * the real QEMU, emulating; what stands between it and Treeline says what QEMU says then: on standard error, and by its machine protocol.
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemPath } from '../../src/settings.js';

export const systemQemu = '/usr/bin/qemu-system-x86_64';

export interface HalfKvm {
  /** For the steps: this QEMU, then the system's folders. */
  readonly path: string;
  /** Description of processors that have virtualization. */
  readonly cpuinfo: string;
  /** The accelerator of each guest that was started, probes too. */
  readonly guests: () => Promise<string[]>;
}

/** Makes it in this folder. `before` is shell code that runs before each QEMU. */
export async function makeHalfKvm(folder: string, before = ''): Promise<HalfKvm> {
  await mkdir(folder, { recursive: true });
  const [program, cpuinfo, log] = [
    join(folder, 'qemu-system-x86_64'),
    join(folder, 'cpuinfo'),
    join(folder, 'guests'),
  ];
  await writeFile(
    program,
    `#!/bin/sh
${before}
case " $* " in
*" -accel kvm "*) exec ${process.execPath} ${fileURLToPath(import.meta.url)} ${log} "$@";;
*" -accel "*) echo tcg >> ${log};;
esac
exec ${systemQemu} "$@"
`,
  );
  await chmod(program, 0o755);
  await writeFile(cpuinfo, 'processor\t: 0\nflags\t\t: fpu vme vmx ssse3\n');
  await writeFile(log, '');
  const guests = async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
  return { path: `${folder}:${systemPath}`, cpuinfo, guests };
}

/** What runs for a guest that is to have KVM. */
async function main(log: string, argv: readonly string[]): Promise<void> {
  const probe = argv.some((argument) => argument.startsWith('isa-debug-exit'));
  appendFileSync(log, probe ? 'kvm probe\n' : 'kvm\n');
  if (probe) process.exit(33);
  const behind = 'behind.sock';
  const own = argv.flatMap((argument) => {
    if (argument === 'kvm') return ['tcg'];
    if (argument === 'host') return ['max'];
    return argument === 'unix:qemu.sock' ? [`unix:${behind},server=on,wait=off`] : [argument];
  });
  const child = spawn(systemQemu, own, { stdio: 'inherit' });
  child.on('exit', (code) => process.exit(code ?? 1));
  const [treeline, machine] = [await connected('qemu.sock'), await connected(behind)];
  let stopped = false;
  createInterface({ input: treeline }).on('line', (line) => machine.write(`${line}\n`));
  createInterface({ input: machine }).on('line', (line) => {
    if (!line.includes('"id": "half-kvm"'))
      treeline.write(`${stopped ? line.replace('"paused"', '"internal-error"') : line}\n`);
  });
  await sleep(1000);
  stopped = true;
  console.error('KVM internal error. Suberror: 1\nextra data[0]: 0x0000000000000001\nemulation failure');
  machine.write('{"execute":"stop","id":"half-kvm"}\n');
}

async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const open = await new Promise<boolean>((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    if (open) return socket;
    await sleep(50);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , log = '', ...argv] = process.argv;
  await main(log, argv);
}
