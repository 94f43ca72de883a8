/** A scratch folder with a step whose log can be read, for tests with real programs. */
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { systemPath } from '../../src/settings.js';
import { createStep, type StepHost } from '../../src/steps/run.js';
import type { Step } from '../../src/steps/step.js';
import { patience } from '../support/ports.js';

export interface Scratch {
  readonly folder: string;
  readonly at: (...parts: string[]) => string;
  readonly step: Step;
  /** Writes a file with its folder; a program where it starts with `#!`. */
  write(path: string, content: string): Promise<string>;
  /** A step of its own, such as one that can be cancelled. */
  stepWith(change: Partial<StepHost>): Step;
  /** What was logged so far by `step`; it cannot be used any more. */
  log(): Promise<string>;
  remove(): Promise<void>;
}

export async function makeScratch(name: string): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), `treeline-${name}-`));
  const at = (...parts: string[]) => join(folder, ...parts);
  const log = createWriteStream(at('log'));
  const stepWith = (change: Partial<StepHost>) =>
    createStep({ signal: new AbortController().signal, log, path: systemPath, home: folder, ...change });
  return {
    folder,
    at,
    step: stepWith({}),
    stepWith,
    async write(path, content) {
      await mkdir(dirname(at(path)), { recursive: true });
      await writeFile(at(path), content);
      if (content.startsWith('#!')) await chmod(at(path), 0o755);
      return at(path);
    },
    async log() {
      log.end();
      await finished(log);
      return readFile(at('log'), 'utf8');
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Waits until something holds; fails when it takes longer than it would on a quiet machine (`ms`) by far. */
export async function until<T>(
  what: string,
  find: () => Promise<T | undefined> | T | undefined,
  ms = 10_000,
): Promise<T> {
  for (const end = Date.now() + ms * patience; ;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited ${ms * patience} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
