/** The two accelerators of QEMU: how it is told to use one, and how it says that KVM fails. */
import type { Accelerator } from '../domain/metadata.js';

export const acceleratorArgv = (accelerator: Accelerator) =>
  accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];

/** What QEMU writes to its standard error where KVM does not start or does not go on. */
export const isKvmTrouble = (line: string) =>
  /KVM internal error|KVM: entry failed|kvm run failed|Could not access KVM|failed to initialize kvm/i.test(
    line,
  );
