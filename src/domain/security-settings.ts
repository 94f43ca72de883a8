/** The stream file's `release.security`: what is watched for, and who decides about security releases. */
import { z } from 'zod';
import { mailbox, plain } from './names.js';
import { severities } from './security.js';
import { duration } from './units.js';

const packageName = z.string().regex(/^[A-Za-z0-9][\w.+-]*$/, { error: 'a package name' });

export const securitySettings = z
  .strictObject({
    watch: duration
      .prefault('1h')
      .describe(
        'Advisories are looked for this often, in whole minutes up to 1 h or whole hours up to 24 h.',
      ),
    severity: z
      .enum(severities)
      .default('important')
      .describe('Less severe advisories are listed, and open nothing. `none`: all open a case.'),
    core: z
      .union([z.literal('any'), z.array(packageName).min(1)])
      .default('any')
      .describe('Names of the packages whose advisories open a case; `any`: all of the release.'),
    join: duration
      .prefault('5m')
      .describe('Advisories that come within this time make one release together.'),
    advisories: z
      .array(plain)
      .default([])
      .describe(
        'Files or addresses of OSV or CSAF documents (JSON), besides the `updateinfo` of the package repos. A folder: all `*.json` in it.',
      ),
    approvers: z
      .array(z.string().min(1))
      .default([])
      .describe('The security group: names of `release.approvers`. None: all of them.'),
    to: z
      .array(mailbox)
      .default([])
      .describe('Mail addresses of the security group: told of every case, of embargoed ones too.'),
    remindEvery: duration.prefault('15m').describe('The group is reminded of a waiting case this often.'),
  })
  .describe('Security releases, out of band; without it there are none.');
export type SecuritySettings = z.infer<typeof securitySettings>;
