/** OSV and CSAF documents that the stream file names: files, folders of them, addresses. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { firstIssue, textReader } from '../steps/read-text.js';
import { isId, oneLine, type ReadAdvisory } from './advisory.js';
import { parseCsaf } from './csaf.js';
import { parseOsv } from './osv.js';

/** Those of a kernel with all its products are the largest. */
const maxBytes = 32 * 2 ** 20;
const maxDocuments = 5000;

/** The documents of a path or address: of a folder all `*.json` in it. Fails with AdvisoryInvalid. */
export async function documentsAt(place: string): Promise<string[]> {
  const folder = /^https?:/.test(place) ? undefined : await stat(place).catch(() => undefined);
  if (!folder?.isDirectory()) return [place];
  const names = (await readdir(place)).filter((name) => name.endsWith('.json')).sort();
  if (names.length > maxDocuments)
    throw new Failure('AdvisoryInvalid', `more than ${maxDocuments} documents`);
  return names.map((name) => join(place, name));
}

export interface ReadDocument {
  readonly advisories: readonly ReadAdvisory[];
  /** A line for each record that could not be read, with its id or place. */
  readonly problems: readonly string[];
}

/**
 * What a document says: one advisory, or a list of them. `source` stands for it in all that is told. Fails with AdvisoryInvalid, or with
 * RepoUnreachable for an address that does not answer.
 */
export async function readDocument(
  signal: AbortSignal,
  place: string,
  source: string,
): Promise<ReadDocument> {
  const read = textReader({ signal, maxBytes, what: 'advisory', invalid: 'AdvisoryInvalid' });
  const data = json(await read(place));
  const [advisories, problems]: [ReadAdvisory[], string[]] = [[], []];
  for (const [n, one] of (Array.isArray(data) ? (data as unknown[]) : [data]).entries())
    try {
      advisories.push(parseAdvisory(one, source));
    } catch (error) {
      const name = nameOf(one) ?? (Array.isArray(data) ? `record ${n + 1}` : undefined);
      problems.push(`${name === undefined ? '' : `${name}: `}${reasonOf(error)}`);
    }
  return { advisories, problems };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure('AdvisoryInvalid', `is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

const osvRecord = z.object({ id: z.string() });
const csafDocument = z.object({ document: z.object({ csaf_version: z.string() }) });
const csafTracking = z.object({ document: z.object({ tracking: osvRecord }) });

function parseAdvisory(data: unknown, source: string): ReadAdvisory {
  if (csafDocument.safeParse(data).success) return parseCsaf(data, source);
  if (osvRecord.extend({ modified: z.string() }).safeParse(data).success)
    return parseOsv(data, source, new Date());
  throw new Failure('AdvisoryInvalid', 'is neither an OSV nor a CSAF document');
}

/** Its id, if it is one that may be shown. */
function nameOf(data: unknown): string | undefined {
  const id = osvRecord.safeParse(data).data?.id ?? csafTracking.safeParse(data).data?.document.tracking.id;
  return id !== undefined && isId(id) ? id : undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) return oneLine(firstIssue(error));
  // Branches within branches, further than a parser can go down.
  if (error instanceof RangeError) return 'nested too deeply';
  if (error instanceof Failure) return error.message;
  throw error;
}
