/**
 * Loaded before the tests: a test that fails says what its instances did then, such as which step everything waits for. Also on a machine that
 * nobody can look at.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, RootHookObject } from 'mocha';
import { TestInstance } from './instance.js';

export const mochaHooks: RootHookObject = {
  async afterEach(this: Context) {
    const { err, state } = this.currentTest ?? {};
    if (state !== 'failed' || !err) return;
    for (const instance of TestInstance.open)
      err.stack = `${err.stack ?? err.message}\n\n${await look(instance)}`;
  },
};

async function look(instance: TestInstance): Promise<string> {
  const limit = new Promise<string[]>((resolve) =>
    setTimeout(() => resolve(['no answer from the server']), 20_000),
  );
  const lines = await Promise.race([workflows(instance), limit]).catch((error: unknown) => [String(error)]);
  return [`what ran at ${new Date().toISOString()}:`, ...lines, ...(await newestLogs(instance))].join('\n');
}

/** Every workflow that runs, with what it waits for. */
async function workflows(instance: TestInstance): Promise<string[]> {
  const { workflow } = await instance.client();
  const lines: string[] = [];
  for await (const { workflowId } of workflow.list({ query: `ExecutionStatus = 'Running'` })) {
    const { raw, historyLength } = await workflow.getHandle(workflowId).describe();
    lines.push(`  ${workflowId}: ${historyLength} events`);
    const task = raw.pendingWorkflowTask;
    if (task) lines.push(`    workflow task: state ${task.state ?? ''}, attempt ${task.attempt ?? ''}`);
    for (const { activityType, state, attempt, lastFailure } of raw.pendingActivities ?? [])
      lines.push(
        `    ${activityType?.name ?? ''}: state ${state ?? ''}, attempt ${attempt ?? ''} ${lastFailure?.message ?? ''}`,
      );
    for (const { workflowId: child } of raw.pendingChildren ?? []) lines.push(`    waits for ${child ?? ''}`);
  }
  return lines;
}

/** The last lines of what was logged last. */
async function newestLogs(instance: TestInstance): Promise<string[]> {
  const folder = join(instance.settings.state, 'store');
  const names = await readdir(folder, { recursive: true }).catch((): string[] => []);
  const logs = await Promise.all(
    names
      .filter((name) => /\/runs\/[^/]+\/logs\/[^/]+\.log$/.test(name))
      .map(async (name) => ({ name, changed: (await stat(join(folder, name))).mtime })),
  );
  logs.sort((a, b) => b.changed.getTime() - a.changed.getTime());
  const tails = logs.slice(0, 3).map(async ({ name, changed }) => [
    `  ${name}, ${changed.toISOString()}`,
    ...(await readFile(join(folder, name), 'utf8'))
      .trimEnd()
      .split('\n')
      .slice(-6)
      .map((line) => `    ${line.slice(0, 200)}`),
  ]);
  return (await Promise.all(tails)).flat();
}
