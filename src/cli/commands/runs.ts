/** `watch` and `cancel`. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Command } from 'commander';
import { releasedAs } from '../../domain/promotion.js';
import type { Settings } from '../../settings.js';
import { connect } from '../../temporal/connect.js';
import { nightlyId } from '../../workflows/chains/nightly-messages.js';
import { rebuildId, releaseId } from '../../workflows/decisions/stream-messages.js';
import { needView } from '../entity.js';
import { failureOf } from '../failure.js';
import { onInterrupt } from '../interrupt.js';
import { CliError, exitCodes } from '../output.js';
import { sayDetached, watch } from '../follow.js';
import { sayMinutely } from '../step.js';

const noRun = (stream: string, build?: string) => (error: unknown) => {
  if (error instanceof WorkflowNotFoundError)
    throw new CliError(
      build === undefined
        ? `${stream}: no nightly has run. Start one with \`treeline nightly ${stream}\`.`
        : `${stream} ${build}: no release of it has run. \`treeline promotions ${stream}\` says what it waits for.`,
      exitCodes.notFound,
    );
  throw error;
};

/** What is made of a build: its release or, while that has not begun, the last attempt at its signed rebuild. */
async function ofBuild(client: Client, stream: string, build: string): Promise<string> {
  const view = await needView(client, stream).catch(() => undefined);
  const open =
    view?.promotions.find((promotion) => promotion.build === build) ??
    view?.promotions.find((promotion) => releasedAs(promotion) === build);
  const last = open?.attempts?.at(-1);
  if (open && last && !['releasing', 'failed'].includes(open.phase))
    return rebuildId(stream, open.build, last.number);
  const released = view?.released.find((release) => release.accepted === build);
  return releaseId(stream, open ? releasedAs(open) : (released?.build ?? build));
}

export function addRuns(program: Command, settings: Settings): void {
  program
    .command('watch')
    .argument('<stream>')
    .argument('[build]', 'show the signed rebuild or the release of this build instead')
    .description('show the running (or last) nightly of a stream, or a release; Ctrl-C detaches')
    .action(async (stream: string, build?: string) => {
      const signal = onInterrupt();
      const client = await connect(settings);
      try {
        const id = build === undefined ? nightlyId(stream) : await ofBuild(client, stream, build);
        const { runId } = await client.workflow.getHandle(id).describe().catch(noRun(stream, build));
        if (!(await watch(client, id, runId, signal))) {
          if (build === undefined) sayDetached(stream);
          const what = id.startsWith('rebuild/') ? 'signed rebuild' : 'release';
          throw new CliError(`detached: the ${what} of ${stream} ${build} goes on`, exitCodes.detached);
        }
        await client.workflow
          .getHandle(id, runId)
          .result()
          .catch((error: unknown) => {
            throw failureOf(error, stream);
          });
      } finally {
        await client.connection.close();
      }
    });

  program
    .command('cancel')
    .argument('<stream>')
    .description('cancel the running nightly of a stream and wait until all that it started has ended')
    .action(async (stream: string) => {
      const client = await connect(settings);
      try {
        const handle = client.workflow.getHandle(nightlyId(stream));
        const { status } = await handle.describe().catch(noRun(stream));
        if (status.name !== 'RUNNING')
          throw new CliError(`${stream}: no nightly is running`, exitCodes.notFound);
        await handle.cancel();
        const said = sayMinutely(() => `${stream}: waiting until all that it started has ended`);
        await handle
          .result()
          .catch(() => undefined)
          .finally(said);
        const after = await handle.describe();
        if (after.status.name === 'COMPLETED')
          return console.log(`${stream}: was being published already and is complete`);
        console.log(`${stream}: cancelled`);
      } finally {
        await client.connection.close();
      }
    });
}
