/** What is published about releases: `releases.json`, `stream.json` (stream metadata), and the facts of the release notes. */
import { z } from 'zod';
import { buildId } from './build-id.js';
import { packageChange } from './metadata.js';
import { architecture, sha256 } from './names.js';
import { rebuildPackage } from './rebuild-packages.js';
import { bySeverity, severityWord } from './security.js';

/** `releases.json`, oldest release first; an entry, once published, changes only by additions. Shape: fedora-coreos. */
export const releaseIndex = z.object({
  stream: z.string(),
  /** ISO 8601, UTC. */
  metadata: z.object({ 'last-modified': z.string() }),
  releases: z.array(
    z.object({
      version: buildId,
      /** URL of the release's `release.json`. */
      metadata: z.string(),
      commits: z.array(z.object({ architecture, checksum: sha256 })),
      /** Treeline's own. */
      treeline: z.object({
        /** ISO 8601, UTC. */
        released: z.string(),
        ref: z.string(),
        /** URL of the release's page. */
        page: z.string(),
        /** The release before it. */
        former: buildId.nullable(),
        /** Of a signed rebuild or a security release: the accepted build. */
        accepted: buildId.optional(),
        /** Names of the approvers. */
        approvers: z.array(z.string()),
        /** Of a security release. */
        security: z
          .object({ case: z.string(), advisories: z.array(z.string()), cves: z.array(z.string()) })
          .optional(),
        'rolled-back': z.object({ at: z.string(), to: buildId, reason: z.string().optional() }).optional(),
      }),
    }),
  ),
});
export type ReleaseIndex = z.infer<typeof releaseIndex>;
export type ReleaseEntry = ReleaseIndex['releases'][number];

const artifact = z.object({
  release: buildId,
  formats: z.record(
    z.string(),
    z.object({
      disk: z.object({
        location: z.string(),
        signature: z.string(),
        sha256,
        'uncompressed-sha256': sha256.optional(),
      }),
    }),
  ),
});

/** `stream.json` (the newest release) and each release's `release.json`. Shape: coreos stream metadata. */
export const streamMetadata = z.object({
  stream: z.string(),
  metadata: z.object({ 'last-modified': z.string() }),
  /** By architecture, then by platform (image kind). */
  architectures: z.partialRecord(
    architecture,
    z.object({ commit: sha256, artifacts: z.record(z.string(), artifact) }),
  ),
});
export type StreamMetadata = z.infer<typeof streamMetadata>;

const changeNote = z.object({
  change: packageChange,
  /** Changelog entries newer than the former release's package, newest first, as the RPM carries them. */
  changelog: z.array(z.object({ time: z.string(), author: z.string(), text: z.string() })),
});

const advisory = z.object({
  id: z.string(),
  title: z.string(),
  type: z.string(),
  severity: z.string().optional(),
  /** CVEs and bugs: id and URL. */
  references: z.array(z.object({ id: z.string(), href: z.string().optional() })),
  /** Names of the packages that it fixes here. */
  packages: z.array(z.string()),
});

/** Everything that the release's page, wiki text and announcement are made of; `releases/<build>/notes.json`. */
export const releaseNotes = z.object({
  stream: z.object({ name: z.string(), title: z.string(), description: z.string(), osname: z.string() }),
  build: buildId,
  /** The release before it; null for the first. */
  former: buildId.nullable(),
  /** ISO 8601, UTC: when the notes were made, a moment before the release. */
  time: z.string(),
  /** Of a signed rebuild or a security release: the accepted build that it was made from. */
  accepted: buildId.optional(),
  /** Readers' address of the release location. */
  url: z.string(),
  /** Readers' address of the location that holds `repo/`, if it is not `url`. */
  repo: z.string().optional(),
  /** The release's own page. */
  page: z.string(),
  signingKey: z.object({ fingerprint: z.string(), user: z.string(), url: z.string() }),
  approvers: z.array(z.string()),
  /** Upstream build that it follows, if the stream has a cadence with an upstream. */
  upstream: z.object({ name: z.string(), number: z.int(), date: z.string() }).optional(),
  /** Of a security release: its case, and the advisories that it was made for; none where a person named the packages. */
  security: z
    .object({
      case: z.string(),
      advisories: z.array(
        z.object({
          id: z.string(),
          title: z.string(),
          severity: z.enum(bySeverity),
          cves: z.array(z.string()),
          /** ISO 8601, UTC. */
          issued: z.string().optional(),
        }),
      ),
    })
    .optional(),
  /** Signed test reports on the build, if there are any. */
  reports: z
    .array(
      z.object({
        build: z.string(),
        by: z.string(),
        result: z.enum(['pass', 'fail']),
        note: z.string().optional(),
        /** ISO 8601, UTC. */
        at: z.string(),
      }),
    )
    .optional(),
  knownIssues: z.array(z.string()),
  architectures: z.array(
    z.object({
      architecture,
      /** The release ref. */
      ref: z.string(),
      commit: sha256,
      packages: z.int(),
      images: z.array(
        z.object({
          kind: z.string(),
          file: z.string(),
          url: z.string(),
          /** URL of the detached OpenPGP signature. */
          signature: z.string(),
          sha256,
          /** Bytes. */
          size: z.int(),
          bootTest: z.string(),
        }),
      ),
      /** URL of the clear-signed checksums file. */
      checksums: z.string().optional(),
      /** To the former release; absent for the first. */
      changes: z.array(changeNote).optional(),
      advisories: z.array(advisory),
      /** Of a signed rebuild: its packages by name, and where each is from. */
      origins: z
        .array(z.object({ name: z.string(), evra: z.string(), origin: rebuildPackage.shape.origin }))
        .optional(),
    }),
  ),
});
export type ReleaseNotes = z.infer<typeof releaseNotes>;
export type ChangeNote = z.infer<typeof changeNote>;
export type Advisory = z.infer<typeof advisory>;

/** Each advisory once, whatever the architectures that it fixes; those of a security release too that no repo has. By id. */
export function allAdvisories({ architectures, security }: ReleaseNotes): Advisory[] {
  const found = new Map<string, Advisory>(
    security?.advisories.map(({ id, title, severity, cves }) => [
      id,
      {
        ...{ id, title, type: 'security', severity: severityWord(severity) },
        ...{ references: cves.map((cve) => ({ id: cve })), packages: [] },
      },
    ]),
  );
  for (const entry of architectures.flatMap(({ advisories }) => advisories)) {
    const packages = new Set([...(found.get(entry.id)?.packages ?? []), ...entry.packages]);
    found.set(entry.id, { ...entry, packages: [...packages].sort() });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The packages of a signed release by where they are from, each once: `name evra`. Empty where that is not known. */
export function originGroups({ architectures }: ReleaseNotes): { what: string; names: string[] }[] {
  const all = architectures.flatMap(({ origins = [] }) => origins);
  return (['rebuilt', 'accepted'] as const).flatMap((origin) => {
    const names = all.flatMap((one) => (one.origin === origin ? [`${one.name} ${one.evra}`] : []));
    const what = origin === 'rebuilt' ? 'packages rebuilt and signed by us' : 'taken as accepted';
    return names.length > 0 ? [{ what, names: [...new Set(names)].sort() }] : [];
  });
}
