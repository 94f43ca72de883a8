/** YAML that people write, with the line of each field. Hostile or broken text ends with an error, quickly. */
import { relative } from 'node:path';
import {
  isMap,
  isNode,
  isPair,
  isScalar,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  visit,
  type Document,
} from 'yaml';
import { Failure } from '../domain/failures.js';
import { readFileText } from '../steps/read-file.js';

/** Deeper nesting than any stream file or treefile has; the library's composer is recursive, and overflows its stack. */
const maxDepth = 64;
/** Of one list or map; the library compares each key of a map with all others. */
const maxEntries = 5000;

export interface YamlFile {
  /** As messages name it. */
  readonly shown: string;
  readonly value: unknown;
  /** The line of a field; of the nearest enclosing one where it is missing. */
  readonly lineOf: (path: readonly PropertyKey[]) => number;
}

/** Reads a file. Fails with StreamInvalid: a line for each syntax error, with file and line. */
export async function readYaml(file: string): Promise<YamlFile> {
  const shown = shownPath(file);
  const text = await readFileText(file).catch((error: unknown) => {
    throw error instanceof Failure ? new Failure(error.code, error.message.replace(file, shown)) : error;
  });
  return parseYaml(shown, text);
}

/** A path as messages name it: relative where it is below the working directory. */
export function shownPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}

export function parseYaml(shown: string, text: string): YamlFile {
  const invalid = (problems: readonly (readonly [line: number, text: string])[]) =>
    new Failure('StreamInvalid', problems.map(([line, why]) => `${shown}:${line}: ${why}`).join('\n'));
  const lines = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line);
  const excess = excessOf(text);
  if (excess) throw invalid([[text.slice(0, excess.offset).split('\n').length, excess.why]]);
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0)
    throw invalid(
      document.errors.map((error) => [
        error.linePos?.[0].line ?? 1,
        (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''),
      ]),
    );
  const loop = badAlias(document);
  if (loop) throw invalid([[lineAt(loop.offset), loop.why]]);
  try {
    return {
      shown,
      value: document.toJS() as unknown,
      lineOf: (path) => lineAt(offsetOf(document, path)),
    };
  } catch (error) {
    throw invalid([[1, error instanceof Error ? error.message : String(error)]]);
  }
}

/** What would take the library's parser minutes, or all of the stack. Its lexer and its first parser are linear. */
function excessOf(text: string): { offset: number; why: string } | undefined {
  const parser = new Parser();
  let offset = 0;
  for (const lexeme of new Lexer().lex(text)) {
    // Whole documents come out; only the way there matters.
    Array.from(parser.next(lexeme));
    // The lexer marks documents and scalars by control characters of its own.
    if (!/^[\x02\x18\x1f]$/.test(lexeme)) offset += lexeme.length;
    const { stack } = parser;
    if (stack.length > maxDepth) return { offset, why: `is nested too deeply: more than ${maxDepth} levels` };
    const top = stack.at(-1);
    if (top && 'items' in top && top.items.length > maxEntries)
      return { offset, why: `has more than ${maxEntries} entries in one list or map` };
  }
  return undefined;
}

/** An alias whose anchor is missing, or of which it is itself a part. */
function badAlias(document: Document): { offset: number; why: string } | undefined {
  let found: { offset: number; why: string } | undefined;
  visit(document, {
    Alias(_, alias, ancestors) {
      const anchor = alias.resolve(document);
      if (anchor && !ancestors.includes(anchor)) return undefined;
      found = {
        offset: alias.range?.[0] ?? 0,
        why: anchor
          ? `\`*${alias.source}\` refers to itself`
          : `unresolved alias \`*${alias.source}\`. A value that starts with \`*\` or \`&\` needs quotes.`,
      };
      return visit.BREAK;
    },
  });
  return found;
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length > 1 ? document.getIn(path.slice(0, length - 1), true) : document.contents;
    const last = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find((p) => isPair(p) && isScalar(p.key) && p.key.value === last)
      : undefined;
    const node = isScalar(pair?.key) ? pair.key : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
