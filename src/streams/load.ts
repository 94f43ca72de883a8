/** Reads and checks stream files. Every mistake is found in one pass and named with file, line and field. */
import { readdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { baseOf, signedLine, streamSchema, type Stream } from '../domain/stream.js';
import { imageKinds } from '../images/index.js';
import { webUrl, type Settings } from '../settings.js';
import { exists } from '../store/store.js';
import { addIssue, Mistakes, suggestion, type Add } from './mistakes.js';
import { checkRelease, releaseWithPaths } from './release.js';
import { readYaml } from './yaml.js';

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
  if (!streams.includes(name)) throw invalid([unknownStream(name, streams)]);
  return readStreamFile(settings, join(streamFolder(settings, name), 'stream.yaml'), name);
}

export const unknownStream = (name: string, streams: readonly string[]): string =>
  `${name}: no such stream. There are: ${streams.join(', ') || 'none'}.${suggestion(name, streams)}`;

/** Reads one stream file; `name` is what its `name` must be. Throws `StreamInvalid` with a line per mistake. */
export async function readStreamFile(settings: Settings, file: string, name: string): Promise<Stream> {
  const { stream, mistakes } = await examineStreamFile(settings, file, name);
  if (mistakes.lines.length > 0 || !stream) throw invalid(mistakes.lines);
  return stream;
}

/** A stream file with all its mistakes; without a stream where these leave none. Throws `StreamInvalid` for what is no YAML. */
export async function examineStreamFile(
  settings: Settings,
  file: string,
  name: string,
): Promise<{ stream: Stream | undefined; mistakes: Mistakes }> {
  const yaml = await readYaml(file);
  const mistakes = new Mistakes(yaml);
  const { add } = mistakes;
  const variables = { web: webUrl(settings), state: settings.state };
  const data: unknown = substitute(yaml.value, variables, [], add);
  const parsed = streamSchema.safeParse(data, { reportInput: true });
  if (!parsed.success) for (const issue of parsed.error.issues) addIssue(streamSchema, issue, add);
  checkMeaning(declared.parse(data), name, add);
  if (!parsed.success) return { stream: undefined, mistakes };
  checkRelease(parsed.data, add);
  return { stream: absolute(parsed.data, dirname(file), outside(data, add)), mistakes };
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
    for (const arch of stream.architectures)
      if (typeof arch === 'string' && !(kind.architectures as readonly string[]).includes(arch))
        add(
          ['images', i, 'kind'],
          `is made for ${kind.architectures.join(', ')} only: leave it out, or ${arch} out of \`architectures\``,
        );
    const options = kind.options.safeParse(image.options);
    for (const issue of options.error?.issues ?? [])
      add(['images', i, 'options', ...issue.path], `${issue.message} (option of ${image.kind ?? ''})`);
  });
}

/** Indexes of values that stood earlier in the list. */
const repeated = (values: readonly (string | undefined)[]) =>
  values.flatMap((value, index) => (value !== undefined && values.indexOf(value) < index ? [index] : []));

function absolute(stream: Stream, folder: string, outside: (path: string) => void): Stream {
  const at = (path: string) => {
    if (isAbsolute(path)) return path;
    if (relative(folder, resolve(folder, path)).startsWith('..')) outside(path);
    return resolve(folder, path);
  };
  return {
    ...stream,
    treefile: at(stream.treefile),
    signingKey: at(stream.signingKey),
    trustedKeys: stream.trustedKeys.map(at),
    repos: stream.repos.map((repo) => ({ ...repo, gpgKeys: repo.gpgKeys.map(at) })),
    ...(stream.release ? { release: releaseWithPaths(stream.release, at) } : {}),
  };
}

/** Names the fields that have a relative path which leaves the stream's folder. */
const outside =
  (data: unknown, add: Add) =>
  (path: string): void => {
    const field = fieldOf(data, path);
    if (field)
      add(
        field,
        `\`${path}\` is outside of the stream's folder, which is all that a run keeps: put it there`,
      );
  };

/** Where a value is. */
function fieldOf(data: unknown, value: string): PropertyKey[] | undefined {
  if (data === value) return [];
  if (typeof data !== 'object' || data === null) return undefined;
  for (const [key, item] of Object.entries(data)) {
    const found = fieldOf(item, value);
    if (found) return [Array.isArray(data) ? Number(key) : key, ...found];
  }
  return undefined;
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
