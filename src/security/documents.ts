/** OSV and CSAF documents that the stream file names: files, folders of them, addresses. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { firstIssue, textReader } from '../steps/read-text.js';
import type { ReadAdvisory } from './advisory.js';
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

/**
 * What a document says: one advisory, or a list of them. `source` stands for it in all that is told. Fails with AdvisoryInvalid, or with
 * RepoUnreachable for an address that does not answer.
 */
export async function readDocument(
  signal: AbortSignal,
  place: string,
  source: string,
): Promise<ReadAdvisory[]> {
  const read = textReader({ signal, maxBytes, what: 'advisory', invalid: 'AdvisoryInvalid' });
  const data = json(await read(place));
  try {
    return (Array.isArray(data) ? data : [data])
      .map((one: unknown) => parseAdvisory(one, source))
      .filter((one) => one !== undefined);
  } catch (error) {
    if (error instanceof z.ZodError) throw new Failure('AdvisoryInvalid', firstIssue(error));
    // Branches within branches, further than a parser can go down.
    if (error instanceof RangeError) throw new Failure('AdvisoryInvalid', 'nested too deeply');
    throw error;
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure('AdvisoryInvalid', `is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

function parseAdvisory(data: unknown, source: string): ReadAdvisory | undefined {
  const is = (shape: z.ZodRawShape) => z.object(shape).safeParse(data).success;
  if (is({ document: z.object({ csaf_version: z.string() }) })) return parseCsaf(data, source);
  if (is({ id: z.string(), modified: z.string() })) return parseOsv(data, source);
  throw new Failure('AdvisoryInvalid', 'is neither an OSV nor a CSAF document');
}
