/** Reads and checks stream files. Every mistake is found in one pass and named with file, line and field. */
import { distance } from 'fastest-levenshtein';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { baseOf, signedLine, streamSchema, type Stream } from '../domain/stream.js';
import { imageKinds } from '../images/index.js';
import { webUrl, type Settings } from '../settings.js';
import { exists } from '../store/store.js';
import { checkRelease, releaseWithPaths } from './release.js';

/** Thrown for a stream file that is not valid; the message has a line per mistake. */
const invalid = (problems: readonly string[]) => new Failure('StreamInvalid', problems.join('\n'));

/** Names of the streams that are declared, sorted. A folder without `stream.yaml` is none. Fails with SettingInvalid. */
export async function listStreams(settings: Settings): Promise<string[]> {
  const entries = await readdir(settings.streams, { withFileTypes: true }).catch((error: unknown) => {
    const { code = '' } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such folder' : `cannot be read (${code})`;
    throw new Failure(
      'SettingInvalid',
      `${settings.streams}: ${why}. Set TREELINE_STREAMS to the folder of the stream declarations.`,
    );
  });
  const found = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map(async ({ name }) =>
        (await exists(join(settings.streams, name, 'stream.yaml'))) ? name : undefined,
      ),
  );
  return found.filter((name) => name !== undefined).sort();
}

/** The folder of a stream's declaration. */
export const streamFolder = (settings: Settings, name: string) => join(settings.streams, name);

/**
 * Reads `streams/<name>/stream.yaml`; of `<name>.signed` the line of its signed builds. Relative paths in the result are made absolute, `${web}` and `${state}` filled in.
 * Throws `StreamInvalid`.
 */
export async function loadStream(settings: Settings, name: string): Promise<Stream> {
  const streams = await listStreams(settings);
  const base = baseOf(name);
  if (base !== name && streams.includes(base)) {
    const line = signedLine(await loadStream(settings, base));
    if (line) return line;
    throw invalid([
      `${base}: release.rebuild and publish.testing: missing: the stream has no signed rebuilds`,
    ]);
  }
  if (!streams.includes(name))
    throw invalid([
      `${name}: no such stream. There are: ${streams.join(', ') || 'none'}.${suggestion(name, streams)}`,
    ]);
  return readStreamFile(settings, join(streamFolder(settings, name), 'stream.yaml'), name);
}

/** Reads one stream file; `name` is what its `name` must be. */
export async function readStreamFile(settings: Settings, file: string, name: string): Promise<Stream> {
  const shown = relative(process.cwd(), file).startsWith('..') ? file : relative(process.cwd(), file);
  const lines = new LineCounter();
  const document = parseDocument(await readFile(file, 'utf8'), { lineCounter: lines });
  if (document.errors.length > 0)
    throw invalid(
      document.errors.map(
        (e) => `${shown}:${e.linePos?.[0].line ?? 1}: ${e.message.split('\n')[0] ?? 'not YAML'}`,
      ),
    );
  const variables = { web: webUrl(settings), state: settings.state };
  const problems: { line: number; text: string }[] = [];
  const add = (path: PropertyKey[], text: string) => {
    const line = lineOf(document, lines, path);
    problems.push({ line, text: `${shown}:${line}: ${path.map(String).join('.') || '(file)'}: ${text}` });
  };
  const data: unknown = substitute(toJS(document, shown), variables, [], add);
  const parsed = streamSchema.safeParse(data, { reportInput: true });
  if (!parsed.success) for (const issue of parsed.error.issues) report(issue, add);
  const stream = parsed.data;
  checkMeaning(declared.parse(data), name, add);
  if (stream) checkRelease(stream, add);
  if (problems.length > 0 || !stream)
    throw invalid(problems.sort((a, b) => a.line - b.line).map((problem) => problem.text));
  return absolute(stream, dirname(file));
}

/** The document's values. An alias to nothing is only found here. */
function toJS(document: Document, shown: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid([`${shown}:1: ${why}. A value that starts with \`*\` or \`&\` needs quotes.`]);
  }
}

/** What `checkMeaning` looks at, as far as it is there: mistakes elsewhere do not hide those that it finds. */
const text = z.string().optional().catch(undefined);
const declared = z
  .object({
    name: text,
    ref: text,
    architectures: z.array(z.unknown()).catch([]),
    repos: z.array(z.object({ id: text }).catch({ id: undefined })).catch([]),
    images: z
      .array(
        z
          .object({ kind: text, options: z.record(z.string(), z.unknown()).catch({}) })
          .catch({ kind: undefined, options: {} }),
      )
      .catch([]),
  })
  .catch({ name: undefined, ref: undefined, architectures: [], repos: [], images: [] });

type Add = (path: PropertyKey[], text: string) => void;

function report(issue: z.core.$ZodIssue, add: Add) {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path);
    for (const key of issue.keys)
      add([...issue.path, key], `unknown field.${suggestion(key, known)} Known here: ${known.join(', ')}.`);
  } else if (issue.code === 'invalid_value') add(issue.path, `write one of: ${issue.values.join(', ')}`);
  else if (issue.code === 'invalid_type' && issue.input === undefined)
    add(issue.path, `missing: add this field (${issue.expected})`);
  else if (
    issue.code === 'invalid_type' &&
    issue.expected === 'string' &&
    ['number', 'boolean'].includes(typeof issue.input)
  )
    add(issue.path, `must be text: put it in quotes, \`'${String(issue.input)}'\``);
  else add(issue.path, issue.message);
}

/** What the schema alone cannot say. */
function checkMeaning(stream: z.infer<typeof declared>, name: string, add: Add) {
  if (stream.name !== undefined && stream.name !== name)
    add(['name'], `is \`${stream.name}\`, but the folder is \`${name}\`: make them the same`);
  if (stream.architectures.length > 1 && stream.ref?.includes('${arch}') === false)
    add(['ref'], 'several architectures would share one ref: put `${arch}` into it');
  repeated(stream.repos.map((r) => r.id)).forEach((i) =>
    add(['repos', i, 'id'], 'used twice: give each repo an id of its own'),
  );
  repeated(stream.images.map((i) => i.kind)).forEach((i) =>
    add(['images', i, 'kind'], 'listed twice: keep one'),
  );
  stream.images.forEach((image, i) => {
    if (image.kind === undefined) return;
    const kind = Object.hasOwn(imageKinds, image.kind) ? imageKinds[image.kind] : undefined;
    if (!kind) {
      const kinds = Object.keys(imageKinds);
      add(
        ['images', i, 'kind'],
        `no such image kind.${suggestion(image.kind, kinds)} There are: ${kinds.join(', ')}.`,
      );
      return;
    }
    const options = kind.options.safeParse(image.options);
    for (const issue of options.error?.issues ?? [])
      add(['images', i, 'options', ...issue.path], `${issue.message} (option of ${image.kind ?? ''})`);
  });
}

/** Indexes of values that stood earlier in the list. */
const repeated = (values: readonly (string | undefined)[]) =>
  values.flatMap((value, index) => (value !== undefined && values.indexOf(value) < index ? [index] : []));

function absolute(stream: Stream, folder: string): Stream {
  const at = (path: string) => (isAbsolute(path) ? path : resolve(folder, path));
  return {
    ...stream,
    treefile: at(stream.treefile),
    signingKey: at(stream.signingKey),
    trustedKeys: stream.trustedKeys.map(at),
    repos: stream.repos.map((repo) => ({ ...repo, gpgKeys: repo.gpgKeys.map(at) })),
    ...(stream.release ? { release: releaseWithPaths(stream.release, at) } : {}),
  };
}

/** Replaces `${web}` and `${state}` in every string; `${arch}` stays for later. */
function substitute(
  value: unknown,
  variables: Record<string, string>,
  path: PropertyKey[],
  add: Add,
): unknown {
  if (typeof value === 'string')
    return value.replace(/\$\{([^}]*)\}/g, (whole, variable: string) => {
      if (variable === 'arch') return whole;
      const found = Object.hasOwn(variables, variable) ? variables[variable] : undefined;
      if (found === undefined)
        add(path, `unknown variable \`${whole}\`: there are \`\${web}\`, \`\${state}\` and \`\${arch}\``);
      return found ?? whole;
    });
  if (Array.isArray(value)) return value.map((item, i) => substitute(item, variables, [...path, i], add));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, substitute(item, variables, [...path, key], add)]),
    );
  return value;
}

/** The line of a field; of the nearest enclosing one where it is missing. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length > 1 ? document.getIn(path.slice(0, length - 1), true) : document.contents;
    const last = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find((p) => isPair(p) && isScalar(p.key) && p.key.value === last)
      : undefined;
    const node = isScalar(pair?.key) ? pair.key : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** Field names that the schema knows at a path. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let schema: unknown = streamSchema;
  const unwrap = (s: unknown): unknown => {
    const def = (s as { def?: { type: string; innerType?: unknown; element?: unknown } } | undefined)?.def;
    return def?.innerType !== undefined ? unwrap(def.innerType) : s;
  };
  for (const key of path) {
    const here = unwrap(schema) as { shape?: Record<string, unknown>; element?: unknown };
    schema = typeof key === 'number' ? here.element : here.shape?.[String(key)];
  }
  const shape = (unwrap(schema) as { shape?: Record<string, unknown> } | undefined)?.shape ?? {};
  return Object.keys(shape);
}

/** ` Did you mean …?`, or nothing where no word is near. */
export function suggestion(word: string, known: readonly string[]): string {
  const best = known
    .map((candidate) => ({ candidate, far: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far)[0];
  return best && best.far <= Math.max(2, word.length / 3) ? ` Did you mean \`${best.candidate}\`?` : '';
}
