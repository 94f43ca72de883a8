/** The Temporal CLI, whose development server tests of workflows start by the SDK. */
import assert from 'node:assert/strict';
import { TestWorkflowEnvironment, type LocalTestWorkflowEnvironmentOptions } from '@temporalio/testing';
import { cachedPrograms } from '../../src/temporal/server.js';
import { findTool } from '../../src/steps/tools.js';

/** Starts a development server. */
export async function localEnvironment({
  server,
  ...options
}: LocalTestWorkflowEnvironmentOptions = {}): Promise<TestWorkflowEnvironment> {
  const path = await findTool(`${process.env.PATH ?? ''}:${cachedPrograms()}`, 'temporal');
  assert.ok(path, 'the Temporal CLI is missing: run `bin/setup --test`');
  return TestWorkflowEnvironment.createLocal({
    ...options,
    server: { ...server, executable: { type: 'existing-path', path } },
  });
}
