/**
 * Raw bootable disks from an ostree commit: GPT, one ext4 root, legacy BIOS boot by extlinux. All image kinds that
 * are disks start from `makeDisk`; the work is done by `disk-program.ts` in one contained command, so that mounts and
 * loop devices cannot outlive it.
 */
import { createHash } from 'node:crypto';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Failure, failureKinds, type FailureCode } from '../domain/failures.js';
import { causeOf } from '../steps/cause.js';
import { tailOf } from '../steps/ending.js';
import type { Argv, Step } from '../steps/step.js';
import { customisation, type Customisation } from './customise.js';
import type { ImageInput } from './kind.js';

export const MiB = 1024 ** 2;
export const GiB = 1024 ** 3;

/** Label of the root file system, by which the kernel and the initramfs find it. */
export const rootLabel = 'root';
const kernelArguments = [`root=LABEL=${rootLabel}`, 'rw', 'console=tty0', 'console=ttyS0,115200n8'];

const path = z.string().startsWith('/');
const word = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);

/** The contract between `makeDisk` and the disk program. Unknown keys are refused. */
export const diskSpec = z.strictObject({
  /** Only BIOS boot is made, which other architectures do not have. */
  arch: z.literal('x86_64', { error: 'disk images are made for x86_64 only: their boot loader is extlinux' }),
  /** The result; it appears there when it is whole. */
  disk: path,
  /** Scratch folder: mount point and unfinished disk. */
  work: path,
  /** Virtual size in bytes. */
  size: z
    .int()
    .min(64 * MiB)
    .multipleOf(MiB),
  repo: path,
  commit: z.string().regex(/^[0-9a-f]{64}$/),
  ref: z.string().regex(/^[A-Za-z0-9][\w./-]*$/),
  remote: word,
  osname: word,
  kargs: z.array(z.string().regex(/^\S+$/)).min(1),
  customise: customisation,
});
export type DiskSpec = z.infer<typeof diskSpec>;

const program = fileURLToPath(new URL('disk-program.js', import.meta.url));

/** The disk program with its specification; see `disk-program.ts` for what it runs. */
export const diskCommand = (specification: string): Argv => [process.execPath, program, specification];

/** What the program prints as its last line when it fails; its exit code is then 1. */
export const diskFailure = z.strictObject({
  code: z.custom<FailureCode>((code) => typeof code === 'string' && code in failureKinds),
  message: z.string(),
  tail: z.array(z.string()),
});

/**
 * Makes `<work>/disk-<digest of its specification>.raw`, a sparse file of `input.size` bytes, and answers its path.
 * The deployment's origin is `<remote>:<ref>`, so the guest's `ostree admin upgrade` asks the remote of that name,
 * which the tree configures. Idempotent: a whole disk of the same specification is used again.
 * Throws ImageFailed (also when the content does not fit, with the sizes), DiskFull, ToolMissing, CommandFailed.
 */
export async function makeDisk(
  step: Step,
  input: ImageInput,
  custom: Partial<Customisation> = {},
): Promise<string> {
  const { arch, size, repo, commit, ref, remote, osname, work } = input;
  const wanted = {
    arch,
    work,
    size,
    repo,
    commit,
    ref,
    remote,
    osname,
    kargs: kernelArguments,
    customise: custom,
  };
  const key = createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 16);
  const parsed = diskSpec.safeParse({ ...wanted, disk: join(work, `disk-${key}.raw`) });
  if (!parsed.success) throw new Failure('ImageFailed', issues(parsed.error));
  const spec = parsed.data;
  const done = await access(spec.disk).then(
    () => true,
    () => false,
  );
  if (done) {
    step.note(`${spec.disk} is there already`);
    return spec.disk;
  }
  const file = join(work, `disk-${key}.json`);
  await writeFile(file, JSON.stringify(spec));
  const result = await step.run(diskCommand(file), { okCodes: [0, 1] });
  if (result.exitCode === 0) return spec.disk;
  const failure = diskFailure.safeParse(json(result.stdout.trim().split('\n').at(-1) ?? ''));
  if (!failure.success)
    throw new Failure(
      'CommandFailed',
      `the disk program died: ${causeOf(result.stdout, result.stderr)}`,
      tailOf(result.stderr),
    );
  throw new Failure(failure.data.code, failure.data.message, failure.data.tail);
}

/** All issues of a specification in one line. */
export const issues = (error: z.ZodError) =>
  `image specification: ${error.issues.map((issue) => `${issue.path.join('.') || '(all)'}: ${issue.message}`).join('; ')}`;

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
