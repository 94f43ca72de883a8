/** Asks for a security release on the current release, `build`; it opens a case. */
import { z } from 'zod';
import { buildId } from '../build-id.js';
import { advisoryId } from '../names.js';
import { decision, srpms } from './decision.js';

/** What a person asks a security release for. */
export const fixRequest = z.strictObject({
  advisories: z.array(advisoryId).max(20),
  /** `name-[epoch:]version-release.arch`, as the stream's repos have them. */
  packages: z
    .array(z.string().regex(/^[A-Za-z0-9][\w.:+~^-]+$/, { error: 'write name-[epoch:]version-release.arch' }))
    .max(50),
  /** Is nothing of it shown or told in public before its release? */
  embargo: z.boolean(),
});
export type FixRequest = z.infer<typeof fixRequest>;

export const fix = decision(
  'fix',
  { onto: buildId, fix: fixRequest, srpms: srpms.optional() },
  {
    about: 'release',
    group: 'security',
    check: ({ fix: { advisories, packages }, srpms = {}, build, onto }, { current }) => {
      if (advisories.length + packages.length + Object.keys(srpms).length === 0)
        return 'fix names neither an advisory nor a package nor a source RPM';
      return build === current && onto === current
        ? undefined
        : `${build}: is not the current release (${current ?? 'none'})`;
    },
    text: { does: 'ask for a security release' },
  },
);
