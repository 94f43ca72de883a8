/** The stream file's `release.security`: what is watched for, and who decides about security releases. */
import { z } from 'zod';
import { mailbox, packageName, plain } from './names.js';
import { severities } from './security.js';
import { duration } from './units.js';

/** The cron fields of a watch every so many seconds, at the same distances all day; undefined where there are none. */
export function watchCron(seconds: number): string | undefined {
  const [minutes, hours] = [seconds / 60, seconds / 3600];
  // Not on the hour, when everybody asks.
  if (hours === 24) return '7 0 * * *';
  if (Number.isInteger(hours) && 24 % hours === 0) return `7 */${hours} * * *`;
  return Number.isInteger(minutes) && 60 % minutes === 0 ? `*/${minutes} * * * *` : undefined;
}

export const securitySettings = z
  .strictObject({
    watch: duration
      .refine((seconds) => watchCron(seconds) !== undefined, {
        error:
          'write minutes that divide an hour or hours that divide a day, such as `5m`, `15m`, `1h` or `6h`',
      })
      .prefault('1h')
      .describe(
        'Advisories are looked for this often: minutes that divide an hour, or hours that divide a day.',
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
      .describe(
        'Mail addresses of the security group: told of every case, of embargoed ones too, and of advisories that have no known fix or cannot be judged.',
      ),
    remindEvery: duration.prefault('15m').describe('The group is reminded of a waiting case this often.'),
  })
  .describe('Security releases, out of band; without it there are none.');
export type SecuritySettings = z.infer<typeof securitySettings>;
