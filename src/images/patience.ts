/** How long a boot may take: the stream's figures hold for an idle machine with KVM, and are stretched where the guest is slower. */
import type { Accelerator } from '../domain/metadata.js';

export interface Speed {
  readonly accelerator: Accelerator;
  /** Load average of the last minute. */
  readonly load: number;
  readonly cores: number;
}

/** An emulated guest needs some three times the time: an x86_64 one of the sample's size 30 s where KVM needs 10. */
const emulated = 3;
/** A machine that is busier than this is too busy for its boots, and that should be seen. */
const mostCrowded = 4;
/** No boot may take longer, however slow the machine is; in seconds. */
const longest = 3600;

/** How many times slower than on an idle machine with KVM a guest is taken to be: from 1 to 12. */
export function slowness({ accelerator, load, cores }: Speed): number {
  const crowded = Math.min(Math.max(load / Math.max(cores, 1), 1), mostCrowded);
  return (accelerator === 'tcg' ? emulated : 1) * crowded;
}

/** A clock for one boot: it counts both the seconds that pass, and what they are worth on an idle machine with KVM. */
export class Patience {
  /** Seconds that have passed. */
  passed = 0;
  /** What they are worth. */
  worth = 0;

  /** To be called often, with the machine's speed since the last call. */
  pass(seconds: number, speed: Speed): void {
    this.passed += seconds;
    this.worth += seconds / slowness(speed);
  }

  /** Is a limit reached that was set for an idle machine with KVM? */
  isOver(limit: number): boolean {
    return this.worth >= limit || this.passed >= Math.max(limit, longest);
  }
}
