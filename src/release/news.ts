/** What is told of a release beyond its announcement. */
import type { ReleaseNotes } from '../domain/release.js';
import { cvesOf, gravest } from '../domain/security.js';

/** What a webhook is told of a release. */
export const releaseNews = ({ stream, build, page, architectures, security }: ReleaseNotes) => ({
  event: 'release',
  id: releaseKey(build),
  stream: stream.name,
  build,
  url: page,
  commits: Object.fromEntries(architectures.map((one) => [one.architecture, one.commit])),
  ...(security
    ? {
        security: {
          case: security.case,
          severity: gravest(security.advisories),
          advisories: security.advisories.map(({ id }) => id),
          cves: cvesOf(security.advisories),
        },
      }
    : {}),
});

/** Key of what is told of a release once. */
export const releaseKey = (build: string) => `release-${build}`;
