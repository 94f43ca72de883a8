/** What a part of Treeline has to hand on the machine that it runs on. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Architecture } from './domain/names.js';
import type { Stream } from './domain/stream.js';
import type { Settings } from './settings.js';
import { needJson, type Run, type Store } from './store/store.js';

export interface Host {
  readonly settings: Settings;
  readonly store: Store;
}

export const hostArchitecture = (): Architecture => (process.arch === 'arm64' ? 'aarch64' : 'x86_64');

/** The stream as it was frozen at the start of the run (written by `load`, in its parsed form). */
export const frozenStream = (host: Host, run: Run): Promise<Stream> =>
  needJson(join(host.store.runDir(run), 'stream.json'), z.custom<Stream>());
