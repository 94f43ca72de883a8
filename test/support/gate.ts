/** Stops a step in its middle: wrappers of the real tools that hold before, after or half-way through one command of it. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemPath } from '../../src/settings.js';
import { until } from './ports.js';

/** Where a step is held. */
export interface Hold {
  /** Id of the step. */
  readonly step: string;
  /** Part of the command line, tool first; a bash regular expression without spaces (`.` stands for them). */
  readonly command: string;
  /** `half`: rsync has done its work but for the summary, and is refused when it goes on. */
  readonly when: 'before' | 'after' | 'half';
}

const tools = ['ostree', 'gpg', 'gpgv', 'rsync', 'git', 'python3', 'rpmsign', 'createrepo_c'];

const wrapper = (folder: string, logs: string, tool: string) => `#!/bin/bash
run() { /usr/bin/env PATH='${systemPath}' ${tool} "$@"; }
hold() { : > '${folder}/held'; while [[ -e '${folder}/gate' ]]; do sleep 0.05; done; rm -f '${folder}/held'; }
begun() { for log in ${logs}/"$step".log; do [[ "$log" -nt '${folder}/gate' ]] && return; done; return 1; }
if { read -r step when command < '${folder}/gate'; } 2> /dev/null && [[ "${tool} $*" =~ $command ]] && begun; then
  case $when in
    before) hold; exec /usr/bin/env PATH='${systemPath}' ${tool} "$@" ;;
    after) run "$@"; code=$?; hold; exit $code ;;
    half) run --exclude='/summary*' "$@"; hold; echo 'Permission denied' >&2; exit 23 ;;
  esac
fi
exec /usr/bin/env PATH='${systemPath}' ${tool} "$@"
`;

export class Gate {
  private constructor(readonly folder: string) {}

  /** The wrappers go to `folder`; `logs` is the pattern of the folders of steps' logs. */
  static async make(folder: string, logs: string): Promise<Gate> {
    await mkdir(join(folder, 'bin'), { recursive: true });
    for (const tool of tools) {
      const file = join(folder, 'bin', tool);
      await writeFile(file, wrapper(folder, logs, tool));
      await chmod(file, 0o755);
    }
    return new Gate(folder);
  }

  /** `TREELINE_PATH` of the worker. */
  get path(): string {
    return `${join(this.folder, 'bin')}:${systemPath}`;
  }

  async close({ step, command, when }: Hold): Promise<void> {
    await rm(join(this.folder, 'held'), { force: true });
    await writeFile(join(this.folder, 'gate'), `${step} ${when} ${command}\n`);
  }
  readonly held = (seconds = 60) =>
    until('a step is held', seconds, () => existsSync(join(this.folder, 'held')));
  /** Lets everything go on. */
  readonly open = () => rm(join(this.folder, 'gate'), { force: true });
  /** As `open`; ends when what was held has gone on: the gate may be closed for something else then. */
  async passed(): Promise<void> {
    await this.open();
    await until('what was held goes on', 60, () => !existsSync(join(this.folder, 'held')));
  }
}
