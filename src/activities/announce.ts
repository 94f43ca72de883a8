/** Tells of releases: the announcement, and what the SIG is told before. */
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { releaseNotes } from '../domain/release.js';
import type { Stream } from '../domain/stream.js';
import { notify, recipientsOf, senderOf } from '../notify/notify.js';
import { resolveDoubt } from '../notify/outbox.js';
import { decidedBy, type ReleasedStream } from '../release/decided.js';
import { releaseKey, releaseNews } from '../release/news.js';
import { storedReleases } from '../store/releases.js';
import type { Step } from '../steps/step.js';
import { needJson, readText } from '../store/store.js';
import { listStreams, loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { sigArgs, stepArgs, type StepArgs } from '../domain/inputs.js';
import { buildId } from '../domain/build-id.js';

/** `announcement.json`, beside `announcement.txt` (the body) and `announcement.txt.asc` (the body, clear-signed). */
export const announcementHead = z.object({
  /** One line. */
  subject: z.string().regex(/^[^\r\n]+$/),
});

/** Whether the announcement was mailed, and whether a webhook was told. */
export interface Announced {
  readonly mail: 'sent' | 'none';
  readonly messageId?: string;
  readonly webhook: boolean;
}

export const announceActivities = (host: Host) => ({
  /**
   * Mails the announcement of a release, once, and then POSTs it to the webhook, at least once: receivers tell repeats by `stream`
   * and `id`. Fails with MailServerAway, MailRefused, MailInDoubt, TargetUnreachable.
   */
  announce: asStep(host, stepArgs.extend({ build: buildId }), async (step, args): Promise<Announced> => {
    const stream = await currentStream(host, args);
    const { name, release } = stream;
    if (release === undefined) return { mail: 'none', webhook: false };
    await requireReleased(step, host, { ...stream, release }, args);
    const notes = join(host.store.releaseFiles(name, args.build), 'notes.json');
    const { mail, webhook = false } = await notify(
      step,
      host,
      senderOf(stream),
      recipientsOf(stream, 'announce'),
      {
        key: releaseKey(args.build),
        text: () => announcement(host, args, release.announce.key !== undefined),
        data: async () => releaseNews(await needJson(notes, releaseNotes)),
      },
    );
    return { ...(mail ? { mail: 'sent', ...mail } : { mail: 'none' }), webhook };
  }),

  /** Takes a person's answer about an announcement in doubt; `announce` then goes on. Idempotent. */
  resolveMail: asStep(
    host,
    stepArgs.extend({ build: buildId, mail: z.enum(['sent', 'again']) }),
    async (step, args): Promise<void> =>
      resolveDoubt(step, host, args.stream, releaseKey(args.build), args.mail),
  ),

  /**
   * Tells the SIG, by mail and webhook, or the security group, by mail, as the stream file says now. Once for each key of an audience,
   * but twice rather than not at all. Fails with StreamInvalid, MailServerAway, MailRefused, TargetUnreachable.
   */
  tellSig: asStep(host, sigArgs, async (step, args): Promise<void> => {
    const { stream: name, key, event, build, subject, text, audience = 'sig' } = args;
    const stream = await loadStream(host.settings, name);
    await notify(step, host, senderOf(stream), recipientsOf(stream, audience), {
      key: `${audience}-${key}`,
      text: () => Promise.resolve({ subject, text }),
      data: () => Promise.resolve({ event, id: key, stream: name, build, text }),
    });
  }),
});

/**
 * The stream as it is declared now, so that a server, password file or address that was refused can be fixed and tried again; as
 * it was frozen where it is no longer declared.
 */
async function currentStream(host: Host, args: StepArgs): Promise<Stream> {
  const declared = (await listStreams(host.settings)).includes(args.stream);
  return declared ? loadStream(host.settings, args.stream) : frozenStream(host, args);
}

/** Nothing is announced but what is released; of held announcements only what approvers have let go. Fails with StatementRefused. */
async function requireReleased(
  step: Step,
  host: Host,
  stream: ReleasedStream,
  args: StepArgs & { readonly build: string },
): Promise<void> {
  const { build } = args;
  const index = await storedReleases(host.store, stream.name);
  const entry = index?.releases.find(({ version }) => version === build);
  if (!entry)
    throw new Failure('StatementRefused', `${build}: is not released: there is nothing to announce`);
  if (!stream.release.announce.hold) return;
  const question = { decision: 'announce', build, onto: entry.treeline.former } as const;
  await decidedBy(step, host, stream, question, host.store.work(args, 'statements'));
}

async function announcement(
  host: Host,
  { stream, build }: { stream: string; build: string },
  signed: boolean,
) {
  const file = (name: string) => join(host.store.releaseFiles(stream, build), name);
  const { subject } = await needJson(file('announcement.json'), announcementHead);
  const clearSigned = await readText(file('announcement.txt.asc'));
  if (signed && clearSigned === undefined)
    throw new Failure(
      'SigningFailed',
      `${file('announcement.txt.asc')}: missing, although \`announce.key\` is set`,
    );
  const text = clearSigned ?? (await readText(file('announcement.txt')));
  if (text === undefined)
    throw new Error(`${file('announcement.txt')}: missing, although an earlier step wrote it`);
  return { subject, text };
}
