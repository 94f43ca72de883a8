/** Releases of signed builds, started as their promotion does, with real signed statements in the archive. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import assert from 'node:assert/strict';
import { makeStatement, signStatement } from '../../src/cli/statement.js';
import type { Decision } from '../../src/domain/statement.js';
import { entityOptions } from '../../src/schedules/entities.js';
import { releaseId, rollbackId } from '../../src/workflows/decisions/stream-messages.js';
import type { TinyInstance } from './tiny-instance.js';
import type { TinyBuild } from './tiny-store.js';

/** The build that the SIG has accepted: what is released was made from it. */
export const accepted = '20261122_01';

/** Puts a statement of Ann's and one of Bob's into the archive. */
async function say(
  tiny: TinyInstance,
  decision: Decision,
  facts: { build: string; onto: string | null; commits?: Record<string, string>; signed?: string },
): Promise<void> {
  const folder = tiny.instance.store().statements('tiny');
  await mkdir(folder, { recursive: true });
  for (const who of ['ann', 'bob']) {
    const { build, onto, commits = {}, signed } = facts;
    const made = signed === undefined ? {} : { signed, attempt: 1 };
    const said = makeStatement({ stream: 'tiny', decision, build, commits, onto, ...made });
    const signer = { key: `${who}@example.org`, home: tiny.builds.people.home };
    await writeFile(join(folder, `${said.nonce}.asc`), await signStatement(said, signer));
  }
}

/** Both say `release`; then the release begins. */
export async function release(tiny: TinyInstance, made: TinyBuild): Promise<void> {
  const { build, commit } = made;
  const onto = await tiny.current();
  await say(tiny, 'release', { build: accepted, onto, commits: { x86_64: commit }, signed: build });
  await start(tiny, made, onto);
}

/** Once more, after one that failed. */
export async function start(tiny: TinyInstance, { build }: TinyBuild, onto: string | null): Promise<void> {
  const client = await tiny.instance.client();
  await client.workflow.start('release', {
    workflowId: releaseId('tiny', build),
    taskQueue: 'control',
    args: [{ stream: 'tiny', kind: 'rebuild', build, accepted, attempt: 1, onto }],
  });
}

/** Waits for the end; throws what it failed with. */
export const ended = async (tiny: TinyInstance, { build }: TinyBuild): Promise<void> =>
  (await tiny.instance.client()).workflow.getHandle(releaseId('tiny', build)).result() as Promise<void>;

/** A person's word to what waits. */
export const retry = async (tiny: TinyInstance, { build }: TinyBuild): Promise<void> =>
  (await tiny.instance.client()).workflow.getHandle(releaseId('tiny', build)).signal('retry', {});

/** It ends with this failure. */
export async function fails(tiny: TinyInstance, made: TinyBuild, type: string, why: RegExp): Promise<void> {
  const error: unknown = await ended(tiny, made).then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WorkflowFailedError, String(error));
  const cause = error.cause?.cause ?? error.cause;
  assert.ok(cause instanceof ApplicationFailure, String(error.cause));
  assert.equal(cause.type, type, cause.message);
  assert.match(cause.message, why);
}

/** Goes back from one release to another. */
export async function rollBack(tiny: TinyInstance, from: TinyBuild, to: TinyBuild): Promise<void> {
  await say(tiny, 'rollback', { build: from.build, onto: to.build });
  const client = await tiny.instance.client();
  // Its end is said to the stream's workflow.
  await client.workflow.start('stream', entityOptions('tiny'));
  await client.workflow.execute('rollback', {
    workflowId: rollbackId('tiny', from.build),
    taskQueue: 'control',
    args: [{ stream: 'tiny', build: from.build, to: to.build, reason: 'broken' }],
  });
}
