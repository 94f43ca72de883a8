/**
 * The exact packages of a build, in the shape of rpm-ostree's lockfile (`--ex-write-lockfile-to`), with keys of our own
 * (`sourcerpm`, `repo`, `repomd`). rpm-ostree refuses unknown keys: its composer strips them.
 */
import { z } from 'zod';
import { packageEvra, packageName, type Architecture } from './names.js';

export const lockedPackage = z.object({
  /** `[epoch:]version-release.arch` */
  evra: packageEvra,
  /** `sha256:<hex>` of the RPM file, as the repo metadata says. */
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** File name of the source RPM; absent where the composer does not tell. */
  sourcerpm: z.string().optional(),
  /** Id of the repo that it comes from. */
  repo: z.string().optional(),
});
export type LockedPackage = z.infer<typeof lockedPackage>;

export const lockfile = z.object({
  metadata: z.object({
    /** ISO 8601, UTC. */
    generated: z.string(),
    /** State of each repo at that time. `repomd` (sha256 of repomd.xml) is Treeline's own. */
    rpmmd_repos: z.record(z.string(), z.object({ generated: z.string(), repomd: z.string().optional() })),
  }),
  /** By package name. */
  packages: z.record(packageName, lockedPackage),
});
export type Lockfile = z.infer<typeof lockfile>;

/** `[epoch:]version-release.arch` in its two parts. */
export function splitEvra(evra: string): { evr: string; arch: string } {
  const dot = evra.lastIndexOf('.');
  return dot < 0 ? { evr: evra, arch: '' } : { evr: evra.slice(0, dot), arch: evra.slice(dot + 1) };
}

/** Packages by architecture. */
export type PackageSets = Readonly<Partial<Record<Architecture, Lockfile>>>;
