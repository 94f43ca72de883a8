/** What of a test's own is left on the machine: processes by a mark in their arguments, mounts, loop devices. */
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

/** Ids of processes that have the mark in their arguments, this process left out. */
export async function processesWith(mark: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const [args, status] = await Promise.all(
      ['cmdline', 'status'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    if (args?.includes(mark) && !/^State:\s+Z/m.test(status ?? '')) found.push(Number(name));
  }
  return found;
}

/** Mounts of any process, by the mark in their source or place. */
export async function mountsWith(mark: string): Promise<string[]> {
  const found = new Set<string>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const mounts = await readFile(`/proc/${name}/mounts`, 'utf8').catch(() => '');
    for (const line of mounts.split('\n')) if (line.includes(mark)) found.add(line);
  }
  return [...found];
}

export const loopDevicesWith = (mark: string): string[] =>
  execFileSync('losetup', ['--all', '--list', '--noheadings', '--output', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line.includes(mark));
