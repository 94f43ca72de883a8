/** `nightly STREAM`: starts a nightly and shows it. */
import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { ChainResult } from '../../domain/run.js';
import { StateHeld } from '../../hold.js';
import type { Instance } from '../../instance.js';
import { webUrl, type Settings } from '../../settings.js';
import { loadStream } from '../../streams/load.js';
import { connect } from '../../temporal/connect.js';
import { nightlyId, type NightlyInput } from '../../workflows/chains/nightly-messages.js';
import { printPlan } from '../dry-run.js';
import { onInterrupt } from '../interrupt.js';
import { printJson } from '../output.js';
import { failureOf } from '../failure.js';
import { sayDetached, watch } from '../follow.js';

interface Options {
  force?: boolean;
  dryRun?: boolean;
  detach?: boolean;
  here?: boolean;
  json?: boolean;
}

export function addNightly(program: Command, settings: Settings): void {
  program
    .command('nightly')
    .argument('<stream>')
    .description('run the nightly of a stream: from the package repos to a published, tested build')
    .option('--force', 'build even if nothing has changed')
    .option('--dry-run', 'print every step with its commands, run nothing')
    .option('--detach', 'start it and return')
    .option('--here', 'also run server, worker and web pages in this process, where they are not up')
    .option('--json', 'print the result as JSON, and no progress')
    .action(async (stream: string, options: Options) => {
      const declared = await loadStream(settings, stream);
      if (options.dryRun) return printPlan(settings, declared, options.json ?? false);
      const signal = onInterrupt();
      const input = { stream, force: options.force ?? false };
      const say = (line: string) => (options.json ? undefined : console.log(line));
      const instance = options.here ? await startHere(settings, say) : undefined;
      const client = instance?.client ?? (await connect(settings));
      try {
        const own = { ...options, here: instance !== undefined };
        await Promise.race([
          run(client, settings, input, own, signal),
          ...(instance ? [instance.failed] : []),
        ]);
      } finally {
        await (instance ?? client.connection).close();
      }
    });
}

/** Undefined where an instance is up already: the run is that one's. */
async function startHere(settings: Settings, say: (line: string) => void): Promise<Instance | undefined> {
  const { startInstance } = await import('../../instance.js');
  try {
    return await startInstance(settings, say);
  } catch (error) {
    if (!(error instanceof StateHeld)) throw error;
    say(`The instance is up: ${error.holder}. It runs the nightly.`);
    return undefined;
  }
}

async function run(
  client: Client,
  settings: Settings,
  input: NightlyInput,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const workflowId = nightlyId(input.stream);
  const quiet = options.json ?? false;
  const handle = await client.workflow
    .start('nightly', {
      workflowId,
      taskQueue: 'control',
      args: [input],
      staticSummary: `Nightly of ${input.stream}`,
      workflowIdConflictPolicy: 'FAIL',
    })
    .catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      if (!quiet) console.log(`A nightly of ${input.stream} is running already: watching that one.`);
      return client.workflow.getHandle(workflowId);
    });
  const { runId } = await handle.describe();
  if (options.detach) return console.log(`started; \`treeline watch ${input.stream}\` shows it`);
  if (!quiet && !(await watch(client, workflowId, runId, signal)))
    return sayDetached(input.stream, options.here ?? false);
  const result = (await client.workflow
    .getHandle(workflowId, runId)
    .result()
    .catch((error: unknown) => {
      throw failureOf(error, input.stream);
    })) as ChainResult;
  if (quiet) return printJson(result);
  if (result.outcome === 'no-change')
    console.log(`${input.stream}: no change since the last published build. \`--force\` builds anyway.`);
  else
    console.log(
      `${input.stream} ${result.build}: published. ${webUrl(settings)}/buildlogs/${input.stream}/\n\`treeline show ${result.build}\` shows it.`,
    );
}
