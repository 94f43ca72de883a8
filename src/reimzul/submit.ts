/** What goes to reimzul: source RPMs into the controller's incoming folder, jobs into its queues. */
import { Failure } from '../domain/failures.js';
import type { Architecture } from '../domain/names.js';
import type { ReimzulSettings } from '../domain/rebuild-settings.js';
import { basename } from 'node:path';
import { publishTo } from '../publish/targets/index.js';
import type { Step } from '../steps/step.js';
import type { Beanstalk } from './beanstalk.js';
import { internalTubes, priorities, reimzulJob, tubeOf } from './job.js';

export const targetOf = (settings: Pick<ReimzulSettings, 'target'>, arch: Architecture) =>
  `${settings.target}.${arch}`;

/** Puts an SRPM where builders fetch it. What is there with the same content stays. Fails with ReimzulAway, PublishRefused, DiskFull. */
export async function putSource(step: Step, settings: ReimzulSettings, file: string): Promise<void> {
  const incoming = { location: settings.incoming, url: settings.results };
  // Builders fetch it over HTTP as nobody in particular.
  await publishTo(incoming)
    .putFile(step, file, basename(file), 'compared')
    .catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'TargetUnreachable')
        throw new Failure('ReimzulAway', error.message, error.tail);
      throw error;
    });
}

/**
 * Submits a job and gives its id. A package of `noarch` goes to the architecture's own queue too: a job's target ends with its
 * arch, so one for the noarch queue would have its results in another target's repo, and a build of any arch makes noarch
 * packages as well. Once submitted twice, it is built twice under the same key: either's results will do.
 */
export async function putJob(
  queue: Beanstalk,
  settings: ReimzulSettings,
  job: {
    readonly srpm: string;
    readonly arch: Architecture;
    readonly key: string;
    readonly urgent?: boolean | undefined;
  },
): Promise<string> {
  const { srpm, arch, key, urgent = false } = job;
  const { disttag, submitter } = settings;
  const target = targetOf(settings, arch);
  const checked = reimzulJob.parse({
    srpm,
    arch,
    target,
    disttag,
    scratch: false,
    submitter,
    treeline: key,
  });
  await queue.use(tubeOf(arch));
  return queue.put(JSON.stringify(checked), { priority: urgent ? priorities.urgent : priorities.usual });
}

/**
 * Is our job still in the queue, waiting or reserved? By its content: a queue that was lost begins its ids again, so another's job may
 * have the id that ours had.
 */
export async function inQueue(queue: Beanstalk, id: string, key: string): Promise<boolean> {
  const body = await queue.peek(id);
  if (body === undefined) return false;
  try {
    return (JSON.parse(body.toString('utf8')) as { treeline?: unknown } | null)?.treeline === key;
  } catch {
    return false;
  }
}

/** Asks for the repo of a target to be made again: the request may be dropped, as reimzul's own. Gives the request's id. */
export async function askForRepo(queue: Beanstalk, target: string): Promise<string> {
  await queue.use(internalTubes.createrepo);
  return queue.put(JSON.stringify({ target }));
}
