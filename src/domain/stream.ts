/**
 * The stream file, `streams/<name>/stream.yaml`: what a stream is made from, when, and where it goes. This schema is
 * the one source of the editor's JSON Schema (`streams/stream.schema.json`) and of `docs/stream-reference.md`.
 *
 * Strings may use `${web}` (address of this instance's web server) and `${state}` (its state folder); `ref` may use
 * `${arch}`. A relative path is relative to the stream's folder.
 */
import { z } from 'zod';
import { Failure } from './failures.js';
import { isCron, isTimeZone } from './cron.js';
import { signedName } from './lines.js';
import { architecture, httpUrl, name, plain, refTemplate, type Architecture } from './names.js';
import { repoCredentials, repoUrl } from './repos.js';
import { releaseSettings } from './release-settings.js';
import { duration, size } from './units.js';

export { baseOf, isSignedLine, signedName } from './lines.js';
export { architecture, type Architecture } from './names.js';

export const target = z
  .strictObject({
    location: plain
      .regex(
        /^(\/|(rsync|ssh):\/\/([\w.][\w.-]*@)?([A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\/)/,
        {
          error: 'write an absolute folder, `rsync://host/module/path` or `ssh://user@host[:port]/path`',
        },
      )
      .describe(
        'Where it is written: an absolute folder, `rsync://host/module/path` or `ssh://user@host[:port]/path`.',
      ),
    url: httpUrl.describe('Where readers find it: the address that clients pull from.'),
    identityFile: plain.optional().describe('Private key file for `ssh://`. Default: ssh’s own.'),
    knownHostsFile: plain.optional().describe('Known-hosts file for `ssh://`. Default: ssh’s own.'),
  })
  .describe('A publish target.');
export type Target = z.infer<typeof target>;

const repo = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, { error: 'use letters, digits, `_`, `.` and `-`' })
    .describe('Id of the repo, as the treefile’s `repos` names it.'),
  baseurl: repoUrl(/^(https?|file):\/\//, 'write an `http://`, `https://` or `file://` URL').describe(
    'The folder that holds `repodata/`; `$releasever`, `$arch` and `$basearch` are filled in.',
  ),
  credentials: repoCredentials.optional(),
  gpgKeys: z
    .array(plain)
    .min(1, { error: 'name at least one key: unsigned packages are never used' })
    .describe('Files of the ASCII-armoured public keys that may sign its packages.'),
  metadataSigned: z.boolean().default(false).describe('Is `repomd.xml` signed too? Then it is verified.'),
  priority: z
    .int()
    .min(1)
    .max(99)
    .optional()
    .describe('Of a package that several repos have, only that of the lowest number counts. Default: 99.'),
  cost: z
    .int()
    .min(1)
    .optional()
    .describe('The very same package is taken from the repo of the lowest number. Default: 1000.'),
});

const image = z.strictObject({
  kind: z.string().describe('One of the image kinds that `treeline doctor` lists, such as `qcow2`.'),
  size: size
    .prefault('4GiB')
    .describe('Virtual disk size, such as `4GiB`; the root grows at first boot where the disk is larger.'),
  options: z.record(z.string(), z.unknown()).default({}).describe('Options of the kind; see “Image kinds”.'),
  bootTest: z.boolean().default(true).describe('Boot it before publication?'),
});

const bootTest = z.strictObject({
  timeout: duration
    .prefault('5m')
    .describe(
      'Time from power-on to the login prompt on an idle machine with KVM; it is longer where the guest is emulated or the machine busy.',
    ),
  memory: size.prefault('1GiB').describe('Memory of the guest.'),
  cpus: z.int().min(1).max(64).default(2).describe('CPUs of the guest.'),
  attempts: z
    .int()
    .min(1)
    .max(5)
    .default(2)
    .describe('Bounded retry; a build that needed more than one is shown as flaky.'),
  mayFail: z
    .array(z.string().regex(/^[\w@:.\\-]+\.[a-z]+$/, { error: 'write a unit, such as `kdump.service`' }))
    .default([])
    .describe('Units that may fail in the boot test, such as `kdump.service`; others fail it.'),
  probe: z
    .enum(['console', 'cloud-init'])
    .default('console')
    .describe(
      'How the booted commit is learnt: the tree prints `treeline: booted commit <checksum>` itself, or a cloud-init seed asks for it.',
    ),
});

const schedule = z.strictObject({
  cron: z
    .string()
    .regex(/^(\S+ +){4}\S+$/, { error: 'write five fields, such as `30 2 * * *`', abort: true })
    .refine(isCron, {
      error: 'write numbers in their range: minute 0-59, hour 0-23, day 1-31, month 1-12, day of week 0-7',
    })
    .describe(
      'Five cron fields: minute, hour, day of month, month, day of week. A time that daylight saving leaves out on a day starts nothing on that day; `treeline validate` warns of it.',
    ),
  timezone: z
    .string()
    .refine(isTimeZone, { error: 'write a time zone of the IANA list, such as `UTC` or `Europe/Berlin`' })
    .default('UTC')
    .describe('IANA time zone of the cron fields.'),
  catchUp: duration.prefault('6h').describe('A start that was missed for longer than this is left out.'),
  paused: z.boolean().default(false).describe('Keep the schedule, but start nothing.'),
});

const notification = z.strictObject({
  webhook: httpUrl.optional().describe('POSTs a JSON object for each outcome.'),
  on: z
    .array(z.enum(['published', 'no-change', 'failed', 'cancelled']))
    .default(['published', 'failed'])
    .describe('The outcomes that are told.'),
});

export const streamSchema = z.strictObject({
  name: name.describe('Name of the stream; the same as its folder’s.'),
  title: z.string().min(1).max(80).describe('Display name.'),
  description: z.string().max(400).default('').describe('One paragraph for the build pages.'),
  treefile: plain.describe('The treefile, beside the stream file.'),
  ref: refTemplate.describe('The ostree ref; `${arch}` stands for the architecture.'),
  osname: name.describe('Name of the ostree remote and of the deployment’s OS in images.'),
  releasever: z
    .string()
    .regex(/^\w[\w.-]*$/, { error: 'use letters, digits, `_`, `.` and `-`; not starting with `-`' })
    .describe('`$releasever` of the package repos.'),
  architectures: z
    .array(architecture)
    .min(1)
    .default(['x86_64'])
    .describe('Architectures, built side by side.'),
  composer: z
    .enum(['dnf', 'rpm-ostree'])
    .describe('`rpm-ostree` on CentOS and Fedora builders; `dnf` where there is none.'),
  repos: z.array(repo).min(1).describe('Package repos.'),
  images: z.array(image).default([]).describe('Images made from each commit.'),
  bootTest: bootTest.prefault({}).describe('The boot test of the images.'),
  signingKey: plain.describe(
    'File of the public key that commits, summaries and images are signed with; only the signing role has its private part.',
  ),
  trustedKeys: z
    .array(plain)
    .default([])
    .describe(
      'Files of public keys whose earlier signatures still count: the former `signingKey`, while the key is changed.',
    ),
  schedule: schedule.optional().describe('When the nightly starts; without it only by hand.'),
  publish: z
    .strictObject({
      buildlogs: target.describe('Nightly and testing builds.'),
      release: target.optional().describe('Promoted builds of a stream that is released by copy.'),
      testing: target.optional().describe('Signed builds, while the SIG tests them.'),
      mirror: target.optional().describe('The ostree repo of signed releases.'),
      cloud: target.optional().describe('The images of signed releases.'),
    })
    .describe('Publish targets.'),
  release: releaseSettings.optional(),
  retention: z
    .strictObject({
      builds: z.int().min(2).default(14).describe('Builds kept at buildlogs, newest first.'),
      runs: z.int().min(2).default(30).describe('Runs kept in the build store, with their logs.'),
    })
    .prefault({})
    .describe('What is kept.'),
  freeSpace: size.prefault('3GiB').describe('Free disk space that a run needs before it starts.'),
  notify: z.array(notification).default([]).describe('Who is told of outcomes.'),
});

/** A stream as declared, defaults filled in: sizes in bytes, durations in seconds, paths absolute. */
export type Stream = z.infer<typeof streamSchema>;

/** The keys that published commits and summaries may be signed with. */
export const acceptedKeys = ({ signingKey, trustedKeys }: Pick<Stream, 'signingKey' | 'trustedKeys'>) => [
  signingKey,
  ...trustedKeys,
];

/** The ref under which releases are published: `release.ref`, or the stream's own. */
export const releaseRefOf = (stream: Pick<Stream, 'ref' | 'release'>, arch: Architecture) =>
  (stream.release?.ref ?? stream.ref).replaceAll('${arch}', arch);

/**
 * The line of a stream's signed builds: what it publishes goes to the testing location. Its package repo is the run's own, and set when
 * the run begins. A stream without a testing location has none.
 */
export function signedLine(stream: Stream): Stream | undefined {
  const { testing } = stream.publish;
  if (!testing || !stream.release?.rebuild) return undefined;
  return {
    ...stream,
    name: signedName(stream.name),
    // Machines that are installed from its images follow the releases.
    ref: stream.release.ref ?? stream.ref,
    title: `${stream.title}: signed builds`,
    publish: { ...stream.publish, buildlogs: testing },
    schedule: undefined,
  };
}

/** The line whose builds are released: the stream itself, or that of its signed builds. */
export const releasedLine = (stream: Stream): Stream =>
  stream.release?.mode === 'signed-rebuild' ? (signedLine(stream) ?? stream) : stream;

/**
 * Where releases go: the ostree repo, and all other files (images, documents, metadata, pages). One location for a release by copy,
 * mirror and cloud for a signed one. Undefined for a stream without them.
 */
export function releaseTargets({
  release,
  publish,
}: Pick<Stream, 'release' | 'publish'>): { repo: Target; files: Target } | undefined {
  if (!release) return undefined;
  if (release.mode === 'copy') return publish.release && { repo: publish.release, files: publish.release };
  const { mirror, cloud } = publish;
  return mirror && cloud && { repo: mirror, files: cloud };
}

export const refOf = (stream: Pick<Stream, 'ref'>, arch: Architecture) =>
  stream.ref.replaceAll('${arch}', arch);

/** Fails with StreamInvalid for a stream that has no releases. */
export function needRelease(stream: Stream): NonNullable<Stream['release']> {
  if (!stream.release)
    throw new Failure('StreamInvalid', `${stream.name}: release: missing: add the section`);
  return stream.release;
}
