/** What a publish target is. To add a kind: one file beside this one, its name in `index.ts`, its form of a location in `domain/stream.ts`. */
import type { Argv, Step } from '../../steps/step.js';

/** What a copy moved. */
export interface Pushed {
  readonly files: number;
  /** Bytes of the files that were new to the target. */
  readonly newBytes: number;
  /** Bytes that went over the wire, file lists included. */
  readonly sentBytes: number;
}

/**
 * What becomes of a file that the target has already: `new`: it stays, nothing under these names ever changes; `changed`: replaced if size
 * or time are others; `compared`: replaced if its content is another. What is replaced is staged beside its place and renamed at the end.
 */
export type How = 'new' | 'changed' | 'compared';

/** A file as it is at a target. */
export interface Placed {
  readonly content: Buffer;
  /** Of its last change; absent where it is not known. */
  readonly time?: Date;
}

/**
 * A place to publish to. Paths are relative to it, with `/` between their parts; '' is its root. All of it may be tried again, and fails
 * with TargetUnreachable, PublishRefused, PublishConflict, DiskFull or CommandFailed. New files and folders are for all to read; a link to
 * a folder at the target stays what it is.
 */
export interface PublishTarget {
  /**
   * Copies what is in a folder to `path`; with `only` just these files of it, relative to it. Nothing is deleted. Tells its progress, by
   * objects with `only`, else by bytes.
   */
  putFolder(
    step: Step,
    folder: string,
    path: string,
    how: How,
    options?: { readonly only?: readonly string[] },
  ): Promise<Pushed>;
  /** Copies a file to `path`, which names it. */
  putFile(step: Step, file: string, path: string, how: How): Promise<Pushed>;
  /** Makes these files and folders below `path` just what they are in the folder; what that lacks is removed, last. */
  replace(step: Step, folder: string, path: string, names: readonly string[]): Promise<void>;
  /** Removes these files and folders below `path`. What is gone already is fine. */
  remove(step: Step, path: string, names: readonly string[]): Promise<void>;
  /** Files of the folder that the target has below `path`, but with another content. */
  differing(step: Step, folder: string, path: string): Promise<string[]>;
  /** What it has of a file, past all caches; undefined if it has none. Fails if it cannot be read, as one that may only be written to. */
  read(step: Step, path: string): Promise<Placed | undefined>;
  /** Can it be written to? A link at the target that leads nowhere would be replaced by a folder, so that its disk's content is gone. */
  reach(step: Step): Promise<void>;
  /** Bytes that are free below its folder `part`, which may be on a disk of its own; undefined where nobody tells. */
  free(step: Step, part: string): Promise<number | undefined>;
  /** The commands of `putFolder` and `putFile`, for people who ask what is going to happen. */
  commands(source: { readonly folder: string } | { readonly file: string }, path: string, how: How): Argv[];
}
