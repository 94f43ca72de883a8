/** The stream file's `release.rebuild`: how an accepted build is redone in reimzul, signed throughout. */
import { z } from 'zod';
import { httpUrl, plain } from './names.js';
import { repoCredentials, repoUrl } from './repos.js';
import { duration } from './units.js';

const sourceRepo = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, { error: 'use letters, digits, `_`, `.` and `-`' })
    .describe('Id of the repo.'),
  baseurl: repoUrl(/^https?:\/\/[^/]+/, 'write an `http://` or `https://` URL').describe(
    'The folder that holds `repodata/` of the source RPMs; `$releasever`, `$arch` and `$basearch` are filled in.',
  ),
  credentials: repoCredentials.optional(),
  gpgKeys: z
    .array(plain)
    .min(1, { error: 'name at least one key: unsigned source packages are never used' })
    .describe('Files of the ASCII-armoured public keys that may sign its source RPMs.'),
});

/** Reimzul puts these into shell commands unquoted. */
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.]{0,63}$/, {
  error: 'use letters, digits, `.` and `_`, starting with a letter or digit',
});

export const beanstalkAddress = plain.regex(/^([A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$/, {
  error: 'write `host:port`',
});

export const reimzulSettings = z.strictObject({
  beanstalk: beanstalkAddress.describe('Address of the beanstalkd server, `host:port`.'),
  target: word.describe('Target of the jobs without its architecture, such as `c7.1708.u`.'),
  disttag: z
    .string()
    .regex(/^\.[A-Za-z0-9][A-Za-z0-9_.]{0,30}$/, { error: 'write a dist tag such as `.el7_4`' })
    .describe('Dist tag of the rebuilt packages, such as `.el7_4`.'),
  submitter: word.default('treeline').describe('Name under which jobs are submitted.'),
  incoming: plain
    .regex(/^(\/|(rsync|ssh):\/\/)/, {
      error: 'write an absolute folder, `rsync://host/module/path` or `ssh://user@host[:port]/path`',
    })
    .describe('Where source RPMs are put for the builders: the controller’s incoming folder.'),
  results: httpUrl.describe(
    'Where results are read: the address of the folder that holds `<target>.<arch>/`.',
  ),
  news: word
    .default('notify')
    .describe(
      'Tube with the builders’ news for Treeline alone: `notify` where nothing else reads that, else a copy’s.',
    ),
  limit: z.int().min(1).max(200).default(8).describe('Source packages in progress at a time.'),
  waves: z
    .boolean()
    .default(false)
    .describe(
      'Submit source packages in the order in which they need each other, instead of all side by side?',
    ),
  lost: duration
    .prefault('10m')
    .describe('A job that a builder has taken is looked for again when there was no news of it for so long.'),
  deadline: duration.prefault('4h').describe('Longest time of one try at one source package.'),
  tries: z
    .int()
    .min(1)
    .max(10)
    .default(3)
    .describe('Tries at one source package whose job or results were lost.'),
});
export type ReimzulSettings = z.infer<typeof reimzulSettings>;

export const rebuildSettings = z
  .strictObject({
    packages: z
      .enum(['all', 'changed', 'list'])
      .default('changed')
      .describe(
        'Which source packages are rebuilt: `all` that `sources` carries, those that have `changed` since they were last released, or those of `list`. The others come from the accepted packages.',
      ),
    list: z
      .array(z.string().regex(/^[A-Za-z0-9][\w.+-]*$/, { error: 'a name of a source package' }))
      .default([])
      .describe('Names of source packages, for `packages: list`.'),
    sources: z.array(sourceRepo).min(1).describe('Repos of source RPMs.'),
    rpmKey: plain.describe(
      'File of the public key that signs the rebuilt RPMs; only the signing role has its private part.',
    ),
    reimzul: reimzulSettings.describe('The build system.'),
    expected: z
      .array(
        z.string().regex(/^\/[^\s]*$/, { error: 'write a path such as `/usr/lib/issue` or `/usr/lib/*`' }),
      )
      .default([])
      .describe(
        'Paths of the tree that may differ from the accepted build’s; `*` stands for any characters.',
      ),
    remoteUrl: httpUrl
      .optional()
      .describe(
        'The repo’s address in the tree’s own remote configuration. Default: that of `publish.mirror`.',
      ),
    remindEvery: duration.prefault('3d').describe('The SIG is reminded of a waiting decision this often.'),
    expiryWarning: duration
      .prefault('30d')
      .describe('The SIG is told when a signing key expires within this time.'),
    mirrors: z
      .array(httpUrl)
      .default([])
      .describe('Mirrors of the mirror: addresses of their copies of the ostree repo.'),
    mirrorsNeeded: z
      .int()
      .min(0)
      .default(0)
      .describe('So many of `mirrors` must serve the new summary before the release is announced.'),
    keepAbandoned: z
      .boolean()
      .default(false)
      .describe('Keep an abandoned attempt’s images at the testing location?'),
  })
  .describe('The signed rebuild of an accepted build.');
export type RebuildSettings = z.infer<typeof rebuildSettings>;
