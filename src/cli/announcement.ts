/** `announce --preview`: all that would be sent. */
import { readReleases } from '../publish/published-releases.js';
import { currentRelease } from '../store/releases.js';
import { releaseNews } from '../release/news.js';
import type { Host } from '../host.js';
import { needRelease } from '../domain/stream.js';
import type { ReleaseNotes } from '../domain/release.js';
import type { Stream } from '../domain/stream.js';
import { upstreamOfToday } from '../release/calendar.js';
import { readNotes } from '../release/documents.js';
import { makeNotes } from '../release/notes.js';
import { toFeed } from '../release/texts/feed.js';
import { toMail } from '../release/texts/mail.js';
import type { Settings } from '../settings.js';
import { Store } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { clean, paint } from './output.js';
import { commandStep } from './step.js';

/** Shows mail, feed entry and webhook of a release, or of a build as if it were released now. Sends and writes nothing. */
export async function previewAnnouncement(settings: Settings, name: string, build: string): Promise<void> {
  const host: Host = { settings, store: new Store(settings.state) };
  const stream = await loadStream(settings, name);
  const { mail, announce } = needRelease(stream);
  const notes = (await readNotes(host, name, build)) ?? (await notesAsIfNow(host, stream, build));
  const { subject, text } = toMail(notes);
  const heading = (what: string) => console.log(`${paint('bold', `== ${what}`)}\n`);
  heading(
    mail && announce.to.length > 0
      ? `Mail, by ${mail.server}`
      : 'Mail (not sent: no `mail` or no `announce.to`)',
  );
  const head = [
    `From: ${mail?.from ?? '(release.mail.from)'}`,
    `To: ${announce.to.join(', ') || '(release.announce.to)'}`,
    `Subject: ${subject}`,
    ...(announce.key === undefined ? [] : [`(signed inline with ${announce.key})`]),
    ...(announce.hold ? ['(held until `treeline announce --go`)'] : []),
  ];
  console.log(clean(`${head.join('\n')}\n\n${text}`));
  heading('Feed entry');
  console.log(toFeed([{ notes }], { name, title: stream.title, url: notes.url }));
  heading(announce.webhook === undefined ? 'Webhook (none is named)' : `Webhook ${announce.webhook}`);
  console.log(JSON.stringify(releaseNews(notes), null, 2));
}

async function notesAsIfNow(host: Host, stream: Stream, build: string): Promise<ReleaseNotes> {
  const step = await commandStep(host.settings, 'preview');
  const index = await readReleases(host, stream, step.signal);
  const upstream = await upstreamOfToday(step, host, stream, index);
  return makeNotes(host, step, {
    ...{ stream, build, former: currentRelease(index)?.version ?? null, approvers: ['(the approvers)'] },
    run: { stream: stream.name, run: `preview-${process.pid}` },
    now: new Date(),
    ...(upstream ? { upstream } : {}),
  });
}
