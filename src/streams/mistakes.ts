/** Mistakes in files that people write: each is named with file, line, field and what to do. */
import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import type { YamlFile } from './yaml.js';

export type Add = (path: readonly PropertyKey[], text: string) => void;

/** Mistakes in one file. */
export class Mistakes {
  readonly #lines: { line: number; text: string }[] = [];
  constructor(private readonly file: Pick<YamlFile, 'shown' | 'lineOf'>) {}

  readonly add: Add = (path, text) => {
    const line = this.file.lineOf(path);
    const field = path.map(String).join('.') || '(file)';
    this.#lines.push({ line, text: `${this.file.shown}:${line}: ${field}: ${text}` });
  };

  /** `file:line: field: what is wrong`, sorted by line. */
  get lines(): readonly string[] {
    return this.#lines.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
  }
}

/** Adds what a schema says; the issues are those of a value that was parsed with `reportInput`. */
export function addIssue(schema: z.ZodType, issue: z.core.$ZodIssue, add: Add): void {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
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

/** Field names that a schema knows at a path. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let found: unknown = schema;
  const unwrap = (s: unknown): unknown => {
    const def = (s as { def?: { type: string; innerType?: unknown; element?: unknown } } | undefined)?.def;
    return def?.innerType !== undefined ? unwrap(def.innerType) : s;
  };
  for (const key of path) {
    const here = unwrap(found) as { shape?: Record<string, unknown>; element?: unknown };
    found = typeof key === 'number' ? here.element : here.shape?.[String(key)];
  }
  const shape = (unwrap(found) as { shape?: Record<string, unknown> } | undefined)?.shape ?? {};
  return Object.keys(shape);
}

/** ` Did you mean …?`, or nothing where no word is near. */
export function suggestion(word: string, known: readonly string[]): string {
  const best = known
    .map((candidate) => ({ candidate, far: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far)[0];
  return best && best.far <= Math.max(2, word.length / 3) ? ` Did you mean \`${best.candidate}\`?` : '';
}
