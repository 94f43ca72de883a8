/** The source RPM of a job: fetched, and what its header says. */
import { basename } from 'node:path';
import { z } from 'zod';
import { ask, save } from '../../steps/http.js';
import type { Argv, Step } from '../../steps/step.js';
import { packageName, versionRelease } from '../job.js';
import { inside, sandboxed, type Limits } from './sandbox.js';

const header = z.object({ pkgname: packageName, evr: versionRelease, epoch: z.coerce.number().int().min(0) });
export type SourceHeader = z.infer<typeof header>;

/** Name and version as the file's name has them: for the results of a source RPM that could not be read. */
export function headerOfName(srpm: string): Pick<SourceHeader, 'pkgname' | 'evr'> {
  const [, pkgname, evr] = /^(.+)-([^-]+-[^-]+)\.src\.rpm$/.exec(srpm) ?? [];
  return header.pick({ pkgname: true, evr: true }).parse({ pkgname, evr });
}

/** Fetches a source RPM into `file`. Throws, with the reason, when it is not there or larger than `maxBytes`. */
export const fetchSource = (url: string, file: string, maxBytes: number, signal: AbortSignal) =>
  ask(url, { signal, maxBytes, away: 'ReimzulAway', refused: 'SourceMissing' }, ({ body }) =>
    save(body, file),
  );

/** Reads the header of `work/<srpm>` inside the sandbox: nobody has looked at this file yet. */
export async function readHeader(
  step: Step,
  work: string,
  srpm: string,
  limits: Limits,
): Promise<SourceHeader> {
  const format = '%{NAME}\\n%{VERSION}-%{RELEASE}\\n%{BUILDTIME}\\n%{SOURCEPACKAGE}\\n';
  const rpm: Argv = [
    'rpm',
    ...['-qp', '--nomanifest', '--nosignature', '--define', `_dbpath ${inside}/db`, '--queryformat', format],
    ...['--', basename(srpm)],
  ];
  // 1: not a package at all.
  const { stdout } = await step.run(sandboxed(work, limits, rpm), { okCodes: [0, 1] });
  const [pkgname, evr, epoch, source] = stdout.split('\n');
  if (source !== '1') throw new Error(`${basename(srpm)} is not a source package`);
  return header.parse({ pkgname, evr, epoch });
}
