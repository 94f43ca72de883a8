/** Treefiles and their includes, as both composers read them. Every mistake is found in one pass. */
import { dirname, relative, resolve } from 'node:path';
import { Failure } from '../domain/failures.js';
import { Mistakes, type Add } from '../streams/mistakes.js';
import { readFileText } from '../steps/read-file.js';
import { parseYaml, shownPath, type YamlFile } from '../streams/yaml.js';
import type { CheckInput, Problem } from './composer.js';

/** As rpm-ostree has it. */
const maxDepth = 50;
const maxFiles = 500;

/** What both composers know of a treefile. */
export interface Common {
  readonly ref?: string | undefined;
  readonly releasever?: string | number | undefined;
  readonly repos?: readonly string[] | undefined;
  readonly 'lockfile-repos'?: readonly string[] | undefined;
  readonly packages?: readonly string[] | undefined;
}

/** One file of a treefile. */
export interface Part<T> {
  readonly path: string;
  readonly yaml: YamlFile;
  readonly content: T;
}

/** A path that a treefile names, and the field that names it. */
export type Named = readonly [path: string, field: readonly PropertyKey[]];

export interface Parser<T> {
  /** Checks one file's values; what it adds is a mistake. Undefined where nothing of it can be used. */
  parse(value: Readonly<Record<string, unknown>>, add: Add, unsupported: Add, file: string): T | undefined;
  includes(value: Readonly<Record<string, unknown>>): readonly Named[];
  /** What each file beside it that it names must be: throws a Failure. */
  files(content: T): readonly (readonly [...Named, check: (file: string) => Promise<unknown>])[];
  /** Is a file that is included twice refused? Otherwise it counts once. */
  readonly includesOnce: boolean;
}

/**
 * Reads a treefile with its includes, each file once: the later of two files counts more, the treefile itself most, as in rpm-ostree.
 * Fails with StreamInvalid or TreefileUnsupported: a line for each mistake in any of the files.
 */
export async function readParts<T>(path: string, parser: Parser<T>): Promise<readonly Part<T>[]> {
  const { parts, problems } = await examineParts(path, parser);
  throwProblems(problems);
  return parts;
}

/** The same with the mistakes beside what could be read. */
export async function examineParts<T>(
  path: string,
  parser: Parser<T>,
): Promise<{ parts: readonly Part<T>[]; problems: readonly Problem[] }> {
  const root = dirname(path);
  const parts: Part<T>[] = [];
  const problems: Problem[] = [];
  const states = new Map<string, 'open' | 'read'>();

  /** `refuse` gets why the file cannot be read. */
  async function visit(file: string, depth: number, refuse: (error: Failure) => void): Promise<void> {
    states.set(file, 'open');
    const text = await readFileText(file).catch(failed(refuse));
    const yaml = text === undefined ? undefined : parse(file, text);
    if (yaml) {
      const mistakes = new Mistakes(yaml);
      const unsupported = new Mistakes(yaml);
      const value = isMap(yaml.value) ? yaml.value : {};
      if (value !== yaml.value) mistakes.add([], 'a treefile is a map of keys');
      await follow(value, dirname(file), depth, mistakes.add);
      const content = parser.parse(value, mistakes.add, unsupported.add, file);
      for (const [name, field, check] of content === undefined ? [] : parser.files(content)) {
        const path = resolve(dirname(file), name);
        if (!inside(root, path)) mistakes.add(field, outside(name));
        else await check(path).catch(failed(({ message }) => mistakes.add(field, message)));
      }
      if (content !== undefined) parts.push({ path: file, yaml, content });
      problems.push(...mistakes.lines.map((text): Problem => ({ code: 'StreamInvalid', text })));
      problems.push(...unsupported.lines.map((text): Problem => ({ code: 'TreefileUnsupported', text })));
    }
    states.set(file, 'read');
  }

  const parse = (file: string, text: string): YamlFile | undefined => {
    try {
      return parseYaml(shownPath(file), text);
    } catch (error) {
      problems.push(...problemsOf(error));
      return undefined;
    }
  };

  async function follow(
    value: Readonly<Record<string, unknown>>,
    folder: string,
    depth: number,
    add: Add,
  ): Promise<void> {
    for (const [name, field] of parser.includes(value).toReversed()) {
      const file = resolve(folder, name);
      const state = states.get(file);
      if (!inside(root, file)) add(field, outside(name));
      else if (state === 'open') add(field, `\`${name}\` includes itself`);
      else if (state === 'read' && parser.includesOnce)
        add(field, `\`${name}\` is included a second time, which rpm-ostree refuses: include it once`);
      else if (depth >= maxDepth) add(field, `includes go deeper than ${maxDepth} files`);
      else if (state === undefined && states.size >= maxFiles)
        add(field, `more than ${maxFiles} files are included`);
      else if (state === undefined) await visit(file, depth + 1, ({ message }) => add(field, message));
    }
  }

  await visit(path, 0, (error) => problems.push(...problemsOf(error)));
  return { parts, problems };
}

/** Does a treefile fit the stream that it belongs to? */
export function mismatches(
  parts: readonly Part<Common>[],
  { arch, releasever, repos, ref, rebuilt }: CheckInput,
): readonly Problem[] {
  const declared = repos.map(({ id }) => id);
  const filled = (text: string) =>
    text.replaceAll('${basearch}', arch).replaceAll('${releasever}', releasever);
  const last = (key: 'ref' | 'releasever') => parts.findLast(({ content }) => content[key] !== undefined);
  const wholeRef = last('ref');
  const release = last('releasever');
  return parts.flatMap((part) => {
    const { yaml, content } = part;
    const mistakes = new Mistakes(yaml);
    for (const key of ['repos', 'lockfile-repos'] as const)
      for (const [place, id] of (content[key] ?? []).entries())
        if (!declared.includes(id))
          mistakes.add(
            [key, place],
            `the stream declares no repo \`${id}\`. It has: ${declared.join(', ')}.`,
          );
    const group = content.packages?.find((name) => name.startsWith('@'));
    if (rebuilt && group !== undefined)
      mistakes.add(
        ['packages'],
        `\`${group}\` is a group: signed rebuilds and fixes are made from accepted packages, without the repos' groups. Name its packages.`,
      );
    if (part === wholeRef && !filled(content.ref ?? '').includes('${') && filled(content.ref ?? '') !== ref)
      mistakes.add(
        ['ref'],
        `is \`${filled(content.ref ?? '')}\`, but the stream's is \`${ref}\`: make them the same`,
      );
    if (part === release && String(content.releasever) !== releasever)
      mistakes.add(
        ['releasever'],
        `is ${String(content.releasever)}, but the stream's is ${releasever}: make them the same`,
      );
    return mistakes.lines.map((text): Problem => ({ code: 'StreamInvalid', text }));
  });
}

/** Does nothing if there are none. */
export function throwProblems(problems: readonly Problem[]): void {
  const [first] = problems;
  if (!first) return;
  const unsupported = problems.find(({ code }) => code === 'TreefileUnsupported');
  throw new Failure(
    (unsupported ?? first).code,
    problems.map(({ field, text }) => (field ? `${field.join('.')}: ${text}` : text)).join('\n'),
  );
}

export function problemsOf(error: unknown): readonly Problem[] {
  if (!(error instanceof Failure)) throw error;
  const { code, message } = error;
  return message.split('\n').map((text): Problem => ({ code, text }));
}

/** Files that a field names: one, or a list. What is neither is for the schema to say. */
export function includesIn(value: unknown, field: readonly PropertyKey[]): readonly Named[] {
  if (typeof value === 'string') return [[value, field]];
  if (!Array.isArray(value)) return [];
  return value.flatMap((name: unknown, place): Named[] =>
    typeof name === 'string' ? [[name, [...field, place]]] : [],
  );
}

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const inside = (root: string, path: string) => !relative(root, path).startsWith('..');
const outside = (name: string) =>
  `\`${name}\` is outside of the treefile's folder, which is all that a run keeps: put it there`;

const failed =
  (handle: (error: Failure) => void) =>
  (error: unknown): undefined => {
    if (!(error instanceof Failure)) throw error;
    handle(error);
  };
