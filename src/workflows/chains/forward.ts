/** A release past its point of no return: steps that never fail the workflow, but wait for a person who repairs and retries. */
import { condition } from '@temporalio/workflow';
import type { StepArgs } from '../../domain/inputs.js';
import { publish } from '../activities.js';
import type { Activity, Input } from '../call.js';
import { type Chain } from './chain.js';
import { describeFailure } from '../describe.js';
import { announceSignal, retrySignal, stopSignal } from '../decisions/signals.js';
import { onSignal } from '../messages.js';

/** Not a failure: the SIG has approved a rollback. */
class Stopped extends Error {}

export class Forward {
  #retry = false;
  stopped = false;
  mail: 'sent' | 'again' | undefined;
  /** How often approvers have let the announcement go. */
  announcements = 0;
  /** Where readers are, in what the SIG is told. */
  state: 'released' | 'not released' = 'released';
  readonly #told = new Set<string>();

  constructor(
    readonly chain: Chain,
    readonly build: string,
  ) {
    onSignal(retrySignal, ({ mail }) => {
      this.#retry = true;
      this.mail = mail;
    });
    onSignal(stopSignal, () => void (this.stopped = true));
    onSignal(announceSignal, () => {
      this.announcements++;
    });
  }

  /** See `Chain.step`. */
  async step<A extends StepArgs, R>(
    id: string,
    title: string,
    activity: Activity<A, R>,
    input: Input<A>,
    result?: (value: R) => string,
  ): Promise<R> {
    return this.insist(id, () => {
      this.#unlessStopped();
      return this.chain.step(id, title, activity, input, result);
    });
  }

  /** See `Chain.span`. */
  async span<T>(
    id: string,
    title: string,
    body: () => Promise<T>,
    result?: (value: T) => string,
  ): Promise<T> {
    return this.insist(id, () => {
      this.#unlessStopped();
      return this.chain.span(id, title, body, result);
    });
  }

  /** Until it is done, or the SIG stops it. */
  async insist<T>(id: string, body: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await body();
      } catch (error) {
        if (error instanceof Stopped) throw error;
        const { code, message } = describeFailure(error);
        await this.person(id, `${code}: ${message}`);
      }
    }
  }

  /** Waits for a person's retry; the SIG is told once per reason. */
  async person(step: string, why: string): Promise<void> {
    // From here on one is seen waiting: a retry that comes while the SIG is still being told counts.
    this.#retry = false;
    this.chain.phase(`waits for a person: ${step}`);
    await this.tell(step, why);
    await this.wait(() => this.#retry);
  }

  /** Tells the SIG why a step cannot go on, once per reason. */
  async tell(step: string, why: string): Promise<void> {
    if (this.#told.has(`${step} ${why}`)) return;
    this.#told.add(`${step} ${why}`);
    const { stream, run } = this.chain;
    const text = `${stream} ${this.build}: ${this.state}, but step ${step} cannot go on: ${why}`;
    const key = `${run}-${step}-${this.#told.size}`;
    const told = { key, event: 'stuck', subject: text, text, build: this.build };
    await this.chain
      .call('tell-sig', 'Tell the SIG', publish.tellSig, told, { retry: { maximumAttempts: 5 } })
      .catch(() => undefined);
  }

  /** One that came for an earlier step says nothing of the next. */
  forgetRetry(): void {
    this.#retry = false;
  }

  /** Has a person's retry come, or does it within so many milliseconds? Without a time it is waited for. */
  async retriedWithin(milliseconds: number | undefined): Promise<boolean> {
    if (milliseconds === undefined) await this.wait(() => this.#retry);
    else await condition(() => this.#retry || this.stopped, milliseconds);
    this.#unlessStopped();
    return this.#retry;
  }

  async wait(until: () => boolean): Promise<void> {
    await condition(() => until() || this.stopped);
    this.#unlessStopped();
  }

  /** Runs a part until its end, or until the SIG stops it. */
  async finish(part: () => Promise<void>): Promise<void> {
    try {
      await part();
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    }
  }

  #unlessStopped(): void {
    if (this.stopped) throw new Stopped();
  }
}
