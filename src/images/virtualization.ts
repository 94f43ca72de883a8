/**
 * Which accelerator a boot uses: KVM where it works, otherwise QEMU's own emulation (TCG). A device node does not mean that KVM works,
 * nor does a guest that starts: what a host has shown is recorded, so that later steps, workers and runs do not try it again.
 */
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Accelerator } from '../domain/metadata.js';
import type { Settings } from '../settings.js';
import type { Step } from '../steps/step.js';
import { readJson, writeJson } from '../store/store.js';
import { tryAccelerator } from './kvm-probe.js';

/** How this host accelerates. */
export interface Virtualization {
  /** `auto`: KVM where it works. */
  readonly wanted: Settings['accelerator'];
  /** File of what was found out about KVM on this host. */
  readonly record: string;
  /** The system's description of its processors: `/proc/cpuinfo`. */
  readonly cpuinfo: string;
}

export const virtualizationOf = (
  settings: Pick<Settings, 'accelerator' | 'host' | 'state'>,
): Virtualization => ({
  wanted: settings.accelerator,
  record: join(settings.state, 'kvm', `${settings.host}.json`),
  cpuinfo: '/proc/cpuinfo',
});

const kvmRecord = z.object({
  usable: z.boolean(),
  /** Why it is not. */
  reason: z.string().optional(),
  /** When that was found; ISO 8601, UTC. */
  found: z.string(),
  /** What it was found with: after a reboot, or with another kernel or QEMU, it is to be found out again. */
  with: z.object({ boot: z.string(), kernel: z.string(), qemu: z.string() }),
});
type KvmRecord = z.infer<typeof kvmRecord>;

/** Permissions, and other users of the processor's virtualization, change without a reboot. */
const validMs = 24 * 3600 * 1000;

export interface Choice {
  readonly accelerator: Accelerator;
  /** Why it is not KVM, where nobody has asked for TCG. */
  readonly why?: string;
}

/** Chooses the accelerator: the one that is set, or what is known of KVM on this host, or what a probe shows. */
export async function chooseAccelerator(step: Step, virtualization: Virtualization): Promise<Choice> {
  const { wanted, record, cpuinfo } = virtualization;
  if (wanted !== 'auto') return { accelerator: wanted };
  const now = await circumstances(step);
  const known = await readJson(record, kvmRecord).catch(() => undefined);
  if (known && isValid(known, now)) return choice(known);
  const reason = await kvmTrouble(step, await readFile(cpuinfo, 'utf8'));
  step.note(reason === undefined ? 'KVM works' : `KVM does not work here: ${reason}`);
  return choice(await write(record, now, reason));
}

/** Records that KVM is not usable on this host, and why. */
export async function markKvmUnusable(step: Step, { record }: Virtualization, reason: string): Promise<void> {
  await write(record, await circumstances(step), reason);
}

async function write(file: string, now: KvmRecord['with'], reason: string | undefined): Promise<KvmRecord> {
  const found = new Date().toISOString();
  const known = {
    usable: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    found,
    with: now,
  };
  await writeJson(file, known);
  return known;
}

const choice = ({ usable, reason = 'KVM does not work here' }: KvmRecord): Choice =>
  usable ? { accelerator: 'kvm' } : { accelerator: 'tcg', why: reason };

const isValid = (known: KvmRecord, now: KvmRecord['with']) =>
  JSON.stringify(known.with) === JSON.stringify(now) && Date.now() - Date.parse(known.found) < validMs;

async function circumstances(step: Step): Promise<KvmRecord['with']> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const { stdout } = await step.run(['qemu-system-x86_64', '--version']);
  return { boot: boot.trim(), kernel: release(), qemu: stdout.split('\n')[0] ?? '' };
}

/**
 * Says what is wrong with KVM, if anything. Where the processor shows no virtualization there may be a `/dev/kvm` nevertheless, which
 * emulates: slowly, and not all that a boot needs.
 */
async function kvmTrouble(step: Step, cpuinfo: string): Promise<string | undefined> {
  if (!/^flags\s*:.*\s(vmx|svm)\b/m.test(cpuinfo)) return 'the processor shows neither vmx nor svm';
  return tryAccelerator(step, 'kvm');
}
