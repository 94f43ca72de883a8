/** What people who watch a boot are shown: the console's last line, and for how long there has been none. */
import type { Accelerator } from '../domain/metadata.js';
import { formatSeconds } from '../domain/units.js';
import type { Step } from '../steps/step.js';
import { lastLines } from './console.js';

/** A silence is told from here on; and with each ten seconds more, not with each second: every change is sent. */
const silentSeconds = 30;
const unit = 10;

export class LiveView {
  #text = '';
  #since = 0;
  #status: string | undefined;

  constructor(
    readonly step: Pick<Step, 'tell'>,
    readonly accelerator: Accelerator,
  ) {}

  /** `seconds` have passed since power-on, and this is on the console. */
  show(text: string, seconds: number): void {
    if (text !== this.#text) [this.#text, this.#since] = [text, seconds];
    const silent = Math.floor((seconds - this.#since) / unit) * unit;
    const last = (lastLines(text, 1)[0] ?? 'power-on').slice(0, 100);
    const what = silent < silentSeconds ? last : `no output for ${formatSeconds(silent)}; last line: ${last}`;
    const status = `${this.accelerator.toUpperCase()}: ${what}`;
    if (status !== this.#status) this.step.tell(status);
    this.#status = status;
  }
}
