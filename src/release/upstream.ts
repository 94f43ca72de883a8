/** The list of upstream builds as they really were: a file or URL that the stream file names. Formats: docs/promotion.md. */
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { firstIssue, textReader, type ReadText } from '../steps/read-text.js';
import { numberByDate, type UpstreamBuild, type UpstreamSettings } from '../domain/upstream.js';

/** Getfedora's list of all images ever is about 1 MiB. */
const maxBytes = 8 * 2 ** 20;
const maxBuilds = 20_000;

/**
 * The reader that `loadUpstream` is given outside tests: at most 8 MiB, 30 s. Fails with StreamInvalid, or with RepoUnreachable for a
 * URL that does not answer.
 */
export const listReader = (signal: AbortSignal = new AbortController().signal): ReadText =>
  textReader({ signal, maxBytes, what: 'list of builds', invalid: 'StreamInvalid' });

/**
 * The upstream builds of `settings.builds`, oldest first; undefined if the stream names no list. Fails with StreamInvalid, naming the
 * file or URL, the entry and what is wrong; the reader's failures pass.
 */
export async function loadUpstream(
  settings: UpstreamSettings,
  read: ReadText,
): Promise<UpstreamBuild[] | undefined> {
  if (settings.builds === undefined) return undefined;
  const builds = parseList(settings, await read(settings.builds));
  if (typeof builds === 'string') throw new Failure('StreamInvalid', `${settings.builds}: ${builds}`);
  return builds;
}

const date = z.iso.date({ error: 'write a date such as `2026-11-24`' });
const own = z.array(z.strictObject({ number: z.int().min(0), date, version: z.string().max(60).optional() }));
/** fedora-coreos's releases.json; the version is `<Fedora>.<date>.<stream>.<revision>`. */
const coreos = z.object({
  releases: z.array(
    z.object({
      version: z.string().regex(/^\d+\.\d{8}\.\d+\.\d+$/, {
        error: 'write a version such as `34.20210529.3.0`',
      }),
    }),
  ),
});
/** getfedora's releases.json: an entry per image of every edition. */
const getfedora = z.array(z.object({ version: z.string().max(60).optional(), link: z.string() }));

/** The builds, or what is wrong with the list. */
function parseList(settings: UpstreamSettings, text: string): UpstreamBuild[] | string {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  const entries: unknown = isObject(data) ? data.releases : data;
  if (!Array.isArray(entries)) return 'is none of the known lists: see docs/promotion.md';
  if (entries.length === 0) return 'has no builds';
  if (entries.length > maxBuilds) return `has ${entries.length} entries; at most ${maxBuilds} are read`;
  const first: unknown = entries[0];
  if (isObject(data)) {
    const parsed = coreos.safeParse(data);
    if (!parsed.success) return firstIssue(parsed.error);
    return numbered(
      settings,
      parsed.data.releases.map(({ version }) => ({ version, day: version.split('.')[1] ?? '' })),
    );
  }
  if (isObject(first) && 'link' in first) {
    const parsed = getfedora.safeParse(data);
    if (!parsed.success) return firstIssue(parsed.error);
    return numbered(settings, parsed.data.flatMap(atomicBuild));
  }
  const parsed = own.safeParse(data);
  return parsed.success ? checkOwn(settings, parsed.data) : firstIssue(parsed.error);
}

/** The build of an image's link; none for the images of other editions. */
function atomicBuild({ link }: { link: string }): { version: string; day: string }[] {
  const [, version, day] = /\/Fedora-Atomic(?:Host)?-((?:\d+-)?(\d{8})\.\d+)/.exec(link) ?? [];
  return version === undefined || day === undefined ? [] : [{ version, day }];
}

function numbered(
  settings: UpstreamSettings,
  builds: readonly { version: string; day: string }[],
): UpstreamBuild[] | string {
  if (builds.length === 0) return 'has no links of Fedora Atomic builds';
  const dated = builds.map(({ version, day }) => ({
    version,
    date: `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`,
  }));
  const wrong = dated.find((build) => !date.safeParse(build.date).success);
  return wrong ? `${wrong.version}: ${wrong.date} is no date` : numberByDate(settings, dated);
}

function checkOwn({ skipped }: UpstreamSettings, builds: readonly UpstreamBuild[]): UpstreamBuild[] | string {
  const sorted = [...builds].sort((a, b) => a.number - b.number);
  for (const [i, build] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before?.number === build.number) return `build ${build.number} is there twice`;
    if (before && before.date >= build.date)
      return `build ${build.number} (${build.date}) is not newer than ${before.number} (${before.date})`;
    if (skipped.includes(build.number))
      return `build ${build.number} is in the list, but \`upstream.skipped\` says that it never came out`;
  }
  return sorted;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
