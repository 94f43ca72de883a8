/**
 * Releases whose worker or server dies by SIGKILL in the middle of each step: every one ends whole, announced once, with nothing left
 * behind. Real tools throughout, on a tiny stream. The cases run side by side in lanes, since each waits for a heartbeat's time-out.
 */
import assert from 'node:assert/strict';
import type { Hold } from '../support/gate.js';
import { inLanes, type Case } from '../support/lanes.js';
import { until } from '../support/ports.js';
import type { TinyInstance } from '../support/tiny-instance.js';
import type { TinyBuild } from '../support/tiny-store.js';

/** A release with a crash in it. `step`: the one that is done twice. */
const crash = (
  name: string,
  step: string | undefined,
  run: (tiny: TinyInstance, build: TinyBuild) => Promise<void>,
): Case => ({
  name,
  async run(tiny) {
    const build = tiny.next();
    await run(tiny, build).finally(tiny.gate.open);
    await tiny.ended(build);
    await tiny.whole(build);
    if (step === undefined) return;
    const log = await tiny.log(build, step);
    assert.match(log, /, attempt 2, on /, 'it was done twice');
    assert.doesNotMatch(log, /, attempt 3, on /);
  },
});

/** The worker dies while a command of the step is held. */
const killed = (step: string, when: Hold['when'], command: string) =>
  crash(`${step}: ${when} \`${command.replaceAll('.*', ' … ')}\``, step, async (tiny, build) => {
    await tiny.gate.close({ step, command, when });
    await tiny.release(build);
    await tiny.gate.held();
    await tiny.killWorker();
  });

const answered = crash('drift: while readers are answered', 'drift', async (tiny, build) => {
  await tiny.gate.close({ step: 'try', command: 'ostree.*pull', when: 'before' });
  await tiny.release(build);
  await tiny.gate.held();
  tiny.holdWeb = /repo\/refs\/heads/;
  await tiny.gate.open();
  await until('the step asks for the ref', 60, () => tiny.webHeld);
  await tiny.killWorker();
});

const list = 'announce@tiny.invalid';

const beforeContent = crash('announce: before the content of the mail', 'announce', async (tiny, build) => {
  const { smtp } = tiny;
  const before = smtp.seen.filter((what) => what === `RCPT ${list}`).length;
  smtp.recipients.set(list, 'silence');
  await tiny.release(build);
  await until('the server knows the recipient', 60, () => {
    return smtp.seen.filter((what) => what === `RCPT ${list}`).length > before;
  });
  await tiny.instance.killWorkers();
  smtp.recipients.clear();
  await tiny.killWorker();
});

const inDoubt = crash(
  'announce: after the content, before its answer: a person is asked',
  'announce',
  async (tiny, build) => {
    const { smtp } = tiny;
    // To this mail alone: the SIG is told of other things on the way.
    const get = () => (smtp.mailbox.at(-1)?.to.includes(list) ? 'silence' : undefined);
    Object.defineProperty(smtp, 'content', { get, configurable: true });
    await tiny.release(build);
    await until('the server has the mail', 60, () => tiny.mails(build).length === 1);
    await tiny.instance.killWorkers();
    Object.defineProperty(smtp, 'content', { value: undefined, writable: true });
    await tiny.killWorker();
    await until('the release waits for a person', 90, async () =>
      /waits for a person: announce/.test(await tiny.phase(build)),
    );
    await until('the SIG is told', 30, () =>
      smtp.mailbox.some(
        ({ to, parsed }) => to.includes('sig@tiny.invalid') && /MailInDoubt/.test(parsed.text ?? ''),
      ),
    );
    assert.equal(await tiny.pull(), build.commit, 'readers have the release meanwhile');
    await tiny.retry(build, 'sent');
  },
);

const serverKilled = crash(
  'switch, with the Temporal server in the place of the worker',
  undefined,
  async (tiny, build) => {
    await tiny.gate.close({ step: 'switch', command: 'rsync', when: 'before' });
    await tiny.release(build);
    await tiny.gate.held();
    await tiny.instance.killServer();
    await tiny.gate.open();
    await until('the switch is done meanwhile', 30, async () => (await tiny.pull()) === build.commit);
    await tiny.instance.startServer();
  },
);

describe('a release survives SIGKILL in', function () {
  this.timeout('10m');
  inLanes([
    {
      cases: [
        killed('load', 'before', 'git'),
        killed('documents', 'before', 'python3'),
        killed('push-repo', 'after', 'rsync'),
        killed('authorize', 'before', 'gpg.*--import'),
      ],
    },
    {
      cases: [
        killed('switch', 'half', 'rsync'),
        killed('check-build', 'before', 'ostree.*fsck'),
        killed('sign-summary', 'after', 'ostree.*summary'),
        answered,
      ],
    },
    {
      cases: [
        killed('take', 'after', 'ostree.*pull-local'),
        killed('sign-announcement', 'after', 'gpg.*--clearsign'),
        killed('switch', 'after', 'rsync'),
        beforeContent,
      ],
    },
    {
      cases: [
        serverKilled,
        killed('switch', 'before', 'rsync'),
        killed('push-files', 'after', 'rsync'),
        killed('drift', 'before', 'ostree.*pull'),
      ],
    },
    {
      cases: [
        killed('try', 'before', 'ostree.*pull'),
        killed('authorize-again', 'before', 'gpg.*--import'),
        killed('metadata', 'after', 'rsync.*next-releases.json'),
        inDoubt,
      ],
    },
  ]);
});
