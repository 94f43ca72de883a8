/**
 * What goes through reimzul's queues, as CentOS's own scripts read and write it. Reimzul puts a job's fields into shell commands
 * unquoted and makes paths and URLs of them: every field is checked hard before it is submitted, and before it is used.
 */
import { z } from 'zod';
import { architecture, type Architecture } from '../domain/names.js';

/** Queues of the builders, by the architecture that a job asks for. */
const tubes = {
  x86_64: 'x86_64',
  noarch: 'noarch',
  aarch64: 'aarch64',
  ppc64: 'ppc64',
  ppc64le: 'ppc64le',
  ppc: 'ppc',
  armhfp: 'armv7l',
  i386: 'i386',
  i686: 'i386',
} as const;
export const buildArchitecture = z.enum(Object.keys(tubes) as [keyof typeof tubes]);
export type BuildArchitecture = z.infer<typeof buildArchitecture>;
export const tubeOf = (arch: BuildArchitecture) => tubes[arch];

/** Reimzul's own queues. Their jobs have the client's default priority. */
export const internalTubes = { news: 'notify', createrepo: 'createrepo', toSign: 'tosign' } as const;
/** Priorities of builds. */
export const priorities = { urgent: 1024, usual: 8192 } as const;

/** Letters and digits, and what versions have: none of it means anything to a shell inside a word, to a URL or to a path. */
const word = (more: string, length: number) =>
  z
    .string()
    .regex(new RegExp(`^[A-Za-z0-9][A-Za-z0-9._${more}]{0,${length - 1}}$`))
    .refine((text) => !text.includes('..'));

/** Name of a source RPM's file. */
export const srpmFile = word('+~^-', 200).regex(/^.+-[^-]+-[^-]+\.src\.rpm$/);
export const packageName = word('+-', 120);
/** `version-release`, without an epoch. */
export const versionRelease = word('+~^-', 120);
export const timestamp = z.string().regex(/^\d{14}$/);
/** `c7.1708.u.x86_64` */
export const jobTarget = word('', 80);
export const disttag = z.string().regex(/^\.[A-Za-z0-9][A-Za-z0-9_.]{0,30}$/);
const hostName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/);

/**
 * `<run>/<arch>/<source package>/<try>`: tells our jobs and their news from others'. Reimzul has no such thing, but keys that it does not
 * know come back in `notify`. The same try has the same key, so one that was submitted twice does no harm.
 */
export const jobKey = z
  .string()
  .max(300)
  .regex(/^[A-Za-z0-9][\w-]*\/\w+\/[A-Za-z0-9][\w.+~^-]*\/[1-9]\d?$/)
  .refine((key) => !key.includes('..'));

/** A job as any client of reimzul puts it. Other keys pass: reimzul hands them on. */
export const reimzulJob = z
  .looseObject({
    srpm: srpmFile,
    arch: buildArchitecture,
    /** `<target>.<arch>` */
    target: jobTarget,
    disttag,
    scratch: z.boolean().default(false),
    submitter: word('@+-', 100).optional(),
    treeline: jobKey.optional(),
  })
  .refine(({ target, arch }) => target.endsWith(`.${arch}`), { error: 'the target ends with the arch' });
export type ReimzulJob = z.infer<typeof reimzulJob>;

export interface JobKey {
  readonly run: string;
  readonly arch: Architecture;
  readonly srpm: string;
  /** The first is 1. */
  readonly attempt: number;
}

/** The key of a try at a source package. Throws on what cannot be one. */
export const keyOf = ({ run, arch, srpm, attempt }: JobKey): string =>
  jobKey.parse(`${run}/${architecture.parse(arch)}/${srpmFile.parse(srpm).slice(0, -8)}/${attempt}`);

/** A request to make a target's repo again; only `target` is read. */
export const createrepoRequest = z.looseObject({ target: jobTarget });

/**
 * News of a job. `arch` is that of the build that it is about: builds of i386, ppc and noarch that a builder chains have their job's
 * target and timestamp. The builder's additions are absent where they are not fit for a path or URL.
 */
export const reimzulNews = z.object({
  status: z.enum(['Building', 'Success', 'Failed']),
  srpm: srpmFile,
  arch: buildArchitecture,
  target: jobTarget,
  treeline: jobKey,
  builder_fqdn: hostName.optional().catch(undefined),
  pkgname: packageName.optional().catch(undefined),
  evr: versionRelease.optional().catch(undefined),
  /** By the builder's clock. */
  timestamp: timestamp.optional().catch(undefined),
});
export type ReimzulNews = z.infer<typeof reimzulNews>;

/** News of one of our jobs, or why it is none: nothing that comes through the queue may stop its reader. */
export function parseNews(body: Buffer): ReimzulNews | { readonly foreign: string } {
  let data: unknown;
  try {
    data = JSON.parse(body.toString('utf8'));
  } catch {
    return { foreign: 'garbage' };
  }
  const parsed = reimzulNews.safeParse(data);
  if (parsed.success) return parsed.data;
  const known = z.looseObject({ srpm: srpmFile, status: z.string().max(20).regex(/^\w+$/) }).safeParse(data);
  if (!known.success) return { foreign: 'garbage' };
  const { srpm, status } = known.data;
  return { foreign: `${'treeline' in known.data ? 'garbage about' : 'of'} ${srpm}: ${status}` };
}
