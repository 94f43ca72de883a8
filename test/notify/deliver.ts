/** A process that delivers one mail, to be killed. Arguments: state folder, mail settings as JSON. */
import { createStep } from '../../src/steps/run.js';
import type { MailSettings } from '../../src/notify/mail-server.js';
import { deliver } from '../../src/notify/outbox.js';
import { readSettings } from '../../src/settings.js';
import { Store } from '../../src/store/store.js';
import { news } from './news.js';

const [state = '', mail = ''] = process.argv.slice(2);
const settings = readSettings({ TREELINE_STATE: state });
const step = createStep({
  signal: new AbortController().signal,
  log: process.stdout,
  path: settings.path,
  home: state,
});
await deliver(step, { settings, store: new Store(state) }, 's', 'release-1', news, {
  mail: JSON.parse(mail) as MailSettings,
  inDoubt: 'hold',
});
