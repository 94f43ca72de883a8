/** What the parts of a compose have removed and changed of the installed tree, so that the check of its content can say by whose doing. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../settings.js';
import type { Argv, Step } from '../../steps/step.js';

const changesCommand = (tree: string, state: string): Argv => [
  'python3',
  '-I',
  join(packageRoot, 'src/composers/dnf/changes.py'),
  tree,
  state,
];

const difference = z.object({ removed: z.array(z.string()), changed: z.array(z.string()) });

export class Stages {
  readonly removed: Record<string, string> = {};
  readonly changed: Record<string, string> = {};
  private constructor(
    readonly step: Step,
    readonly tree: string,
    readonly state: string,
  ) {}

  /** From the tree as it is now. `state`: a file of its own. */
  static async begin(step: Step, tree: string, state: string): Promise<Stages> {
    await rm(state, { force: true });
    const stages = new Stages(step, tree, state);
    await stages.ended('');
    return stages;
  }

  /** What differs since the last call is the doing of `stage`. */
  async ended(stage: string): Promise<void> {
    const { stdout } = await this.step.run(changesCommand(this.tree, this.state), { capture: 'all' });
    const { removed, changed } = difference.parse(JSON.parse(stdout));
    for (const path of removed) this.removed[path] = stage;
    this.changedBy(stage, changed);
  }

  changedBy(stage: string, paths: readonly string[]): void {
    for (const path of paths) this.changed[path] = stage;
  }
}
