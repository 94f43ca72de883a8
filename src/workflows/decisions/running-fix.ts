/** The workflows of a security case's builds: starts, watches and stops them. */
import { condition, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError, type SignalDefinition } from '@temporalio/common';
import type { Fix } from '../../domain/security.js';
import { control } from '../activities.js';
import type { fix } from '../chains/fix.js';
import { acceptSignal } from '../chains/rebuild-messages.js';
import type { Case } from './case.js';
import { isBuilding } from './cases.js';
import { endNews, endOf } from './running-attempt.js';
import { approvedSignal, sayAgainSignal, type FixNews } from './security-messages.js';
import { fixId } from './stream-messages.js';

/** One that was cancelled is looked for this often. */
const lookAfterCancel = '1m';

export class RunningFixes {
  constructor(readonly group: Case) {}

  /** Starts the workflow of the last attempt, or finds it running. */
  async start(fixes: readonly Fix[], signed: boolean): Promise<void> {
    const { group } = this;
    const { stream } = group;
    const { id, attempt, srpms, embargoed } = group.me;
    const told = (news: Omit<FixNews, 'attempt'>) => void group.news.push({ attempt, ...news });
    try {
      const child = await startChild<typeof fix>('fix', {
        workflowId: this.#id,
        args: [{ stream, case: id, attempt, fixes, srpms, signed, embargoed }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Build of security case ${stream} ${id}, attempt ${attempt}`,
      });
      group.own = attempt;
      child.result().then(
        (result) => told({ state: 'built', ...result }),
        (error: unknown) => told(endOf(error)),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Asks the server how it stands, and a running one to tell it again: what was told while nobody listened is missed here. */
  async look(): Promise<void> {
    const { group } = this;
    if (!isBuilding(group.fix)) return;
    const { attempt } = group.me;
    const title = 'Check whether the build still runs';
    const end = await group.calls.call('fix-end', title, control.workflowEnd, { id: this.#id });
    if (!end) return this.#signal(sayAgainSignal);
    group.news.push({ attempt, ...endNews(end, 'built') });
  }

  /** Cancels it and waits until it has really ended. */
  async stop(why: string | undefined): Promise<void> {
    const { group } = this;
    group.takeNews();
    if (!isBuilding(group.fix)) return;
    await group.become({ note: `build ${group.me.attempt} is being stopped: ${why ?? ''}` });
    await getExternalWorkflowHandle(this.#id)
      .cancel()
      .catch(() => undefined);
    for (group.takeNews(); isBuilding(group.fix); group.takeNews())
      if (!(await condition(() => group.news.length > 0, lookAfterCancel))) await this.look();
  }

  /** Its plan is approved: it looks at the statements itself. */
  async approve(): Promise<void> {
    this.group.fix = 'running';
    await this.#signal(approvedSignal);
  }

  /** What else has changed is accepted: it looks at the statements itself. */
  accept(): Promise<void> {
    return this.#signal(acceptSignal);
  }

  async #signal(signal: SignalDefinition): Promise<void> {
    await getExternalWorkflowHandle(this.#id)
      .signal(signal)
      .catch(() => undefined);
  }

  /** Of the last attempt. */
  get #id(): string {
    const { stream, me } = this.group;
    return fixId(stream, me.id, me.attempt);
  }
}
