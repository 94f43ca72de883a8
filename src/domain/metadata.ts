/**
 * What is published about builds: `meta.json` per build and architecture, `builds.json` per stream. The hyphenated keys
 * are those of coreos-assembler, whose consumers exist; what is Treeline's own stands under `treeline`.
 */
import { z } from 'zod';
import { architecture, sha256 } from './names.js';

/** `[name, epoch:version-release, arch]` */
const nevra = z.tuple([z.string(), z.string(), z.string()]);

/** One difference in rpm-ostree's shape: `[name, 0 added|1 removed|2 upgraded|3 downgraded, {PreviousPackage, NewPackage}]`. */
export const packageChange = z.tuple([
  z.string(),
  z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  z.object({ PreviousPackage: nevra.optional(), NewPackage: nevra.optional() }),
]);
export type PackageChange = z.infer<typeof packageChange>;

export const imageMeta = z.object({
  /** File name beside meta.json. */
  path: z.string(),
  sha256,
  /** Bytes. */
  size: z.int(),
  'uncompressed-sha256': sha256.optional(),
  'uncompressed-size': z.int().optional(),
  /** File name of the detached OpenPGP signature. */
  signature: z.string().optional(),
});
export type ImageMeta = z.infer<typeof imageMeta>;

/** What ran the guest: the processor's own virtualization, or QEMU's emulation. */
export const accelerator = z.enum(['kvm', 'tcg']);
export type Accelerator = z.infer<typeof accelerator>;

export const bootAttempt = z.object({
  passed: z.boolean(),
  /** Seconds from the last power-on to the verdict. */
  seconds: z.number(),
  accelerator,
  /** What people should know about how it was booted: why KVM was not used, what the emulator did, which units may fail and did. */
  remarks: z.array(z.string()).optional(),
  /** The commit that the guest said it booted. */
  commit: z.string().optional(),
  /** Why it failed, and the console's lines that show it. */
  reason: z.string().optional(),
  lines: z.array(z.string()).optional(),
  /** File name of the console log, in the build's `logs/`. */
  log: z.string(),
});
export type BootAttempt = z.infer<typeof bootAttempt>;

export const bootTestResult = z.object({
  outcome: z.enum(['passed', 'flaky', 'failed']),
  attempts: z.array(bootAttempt),
});
export type BootTestResult = z.infer<typeof bootTestResult>;

/** `meta.json` */
export const buildMeta = z.object({
  name: z.string(),
  buildid: z.string(),
  architecture,
  ref: z.string(),
  'ostree-commit': sha256,
  'ostree-parent': sha256.optional(),
  'ostree-version': z.string(),
  /** ISO 8601, UTC. */
  'ostree-timestamp': z.string(),
  images: z.record(z.string(), imageMeta),
  /** To the last build; absent for a first build. */
  pkgdiff: z.array(packageChange).optional(),
  treeline: z.object({
    'input-hash': sha256,
    /** Commit of the repository that holds the stream's files, if they are in one; `-dirty` where they differ from it. */
    'source-commit': z.string().optional(),
    composer: z.string(),
    /** Fingerprint of the signing key. */
    key: z.string(),
    /** Of a signed rebuild. */
    rebuild: z
      .object({
        /** The accepted build that it was made from. */
        accepted: z.string(),
        attempt: z.int(),
        /** How many of its packages were rebuilt; the others are as they were accepted. */
        rebuilt: z.int(),
        /** Files beside meta.json: whose signature each package carries; what differs from the accepted build. */
        packages: z.string(),
        equivalence: z.string(),
      })
      .optional(),
    /** Of a security release's build: its case, and the release that it was made from. */
    fix: z.object({ case: z.string(), base: z.string() }).optional(),
    packages: z.int(),
    /** What the check of the commit against its packages came to: entries as packaged; left out and changed, counted by reason. */
    content: z
      .object({
        entries: z.int(),
        leftOut: z.record(z.string(), z.int()),
        changed: z.record(z.string(), z.int()),
        /** File beside meta.json with each of them. */
        list: z.string(),
      })
      .optional(),
    tests: z.object({ boot: z.record(z.string(), bootTestResult) }),
    /** Wall-clock seconds of each step. */
    steps: z.array(z.object({ name: z.string(), seconds: z.number() })),
    /** Files beside meta.json: lockfile, checksums, logs. */
    lockfile: z.string(),
    checksums: z.string().optional(),
    logs: z.array(z.string()),
  }),
});
export type BuildMeta = z.infer<typeof buildMeta>;

/** `builds.json`, newest build first. */
export const buildIndex = z.object({
  'schema-version': z.literal('1.0.0'),
  /** ISO 8601, UTC. */
  timestamp: z.string(),
  builds: z.array(z.object({ id: z.string(), arches: z.array(architecture) })),
  tags: z.array(z.object({ name: z.string(), target: z.string() })),
  'tombstone-builds': z.array(z.object({ id: z.string() })),
});
export type BuildIndex = z.infer<typeof buildIndex>;

export const emptyIndex = (): BuildIndex => ({
  'schema-version': '1.0.0',
  timestamp: new Date(0).toISOString(),
  builds: [],
  tags: [],
  'tombstone-builds': [],
});

/** `commit.json`: what the step `commit` records. */
export const commitRecord = z.object({
  commit: z.string(),
  parent: z.string().optional(),
  timestamp: z.string(),
  inputHash: z.string(),
});
