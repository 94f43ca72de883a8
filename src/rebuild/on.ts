/** Where a step of a rebuild works. */
import type { Architecture, Stream } from '../domain/stream.js';
import type { Store } from '../store/store.js';

/** A run for one architecture, with its frozen stream. */
export interface On {
  readonly stream: Stream;
  readonly run: string;
  readonly arch: Architecture;
}

/** The architecture's folder of the run. */
export const folderOf = (store: Store, { stream, run, arch }: On): string =>
  store.archDir({ stream: stream.name, run }, arch);
