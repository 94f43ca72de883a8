/** `announce --preview`. */
import type { Settings } from '../settings.js';
import { CliError } from './output.js';

/** Shows the announcement of a release before anything is sent. */
export function previewAnnouncement(_settings: Settings, stream: string, build: string): Promise<void> {
  throw new CliError(`${stream} ${build}: the preview is not there yet`);
}
