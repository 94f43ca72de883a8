/** The stream file's `release`: who decides about releases, when they are due, and whom they are announced to. */
import { z } from 'zod';
import { httpUrl, mailbox, plain, refTemplate } from './names.js';
import { rebuildSettings } from './rebuild-settings.js';
import { securitySettings } from './security-settings.js';
import { duration } from './units.js';

const day = z.iso.date({ error: 'write a date such as `2026-11-24`' });

const approver = z.strictObject({
  name: z
    .string()
    .regex(/^[^\x00-\x1f<>]{1,60}$/, { error: 'a name of one line, without `<` and `>`' })
    .describe('Display name.'),
  key: plain.describe('File of the public OpenPGP key that signs this person’s statements.'),
});

const approvals = z.strictObject({
  promote: z.int().min(1).max(20).default(2).describe('Distinct approvers that a promotion needs.'),
  release: z
    .int()
    .min(1)
    .max(20)
    .default(2)
    .describe('Distinct approvers that the release of a signed rebuild needs.'),
  redo: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe('Distinct approvers that another attempt at a rebuild needs.'),
  rework: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe('Distinct approvers that an attempt with changed inputs needs.'),
  accept: z
    .int()
    .min(1)
    .max(20)
    .default(2)
    .describe('Distinct approvers that accept unexpected differences of a rebuild.'),
  abandon: z.int().min(1).max(20).default(1).describe('Distinct approvers that end the work on a build.'),
  rollback: z.int().min(1).max(20).default(1).describe('Distinct approvers that a rollback needs.'),
  fix: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe('Distinct approvers of the security group that a security release needs.'),
  announce: z
    .int()
    .min(1)
    .max(20)
    .default(1)
    .describe('Distinct approvers that let an announcement go which is held.'),
  reports: z
    .int()
    .min(0)
    .max(20)
    .default(0)
    .describe(
      'Distinct approvers or testers whose test report on a build says `pass` before it is released (not for security releases).',
    ),
});

const upstream = z.strictObject({
  name: z.string().min(1).max(60).default('Fedora').describe('Display name.'),
  anchor: z
    .strictObject({
      number: z.int().min(0).describe('Its number.'),
      date: day.describe('Its date, UTC.'),
    })
    .describe('One upstream build, from which the others are counted.'),
  every: duration.prefault('14d').describe('Days between upstream builds.'),
  lag: duration.prefault('1d').describe('An upstream build counts from so long after its date.'),
  builds: plain
    .optional()
    .describe('File or URL of a list of upstream builds as they really were; see docs/promotion.md.'),
  skipped: z.array(z.int().min(0)).default([]).describe('Numbers of upstream builds that never came out.'),
  overrides: z
    .record(day, z.int().min(0))
    .default({})
    .describe('Number of the upstream build for the release that is due at a date, where the rule is wrong.'),
});

const cadence = z.strictObject({
  anchor: day.describe('Date of one release, UTC; the others are counted from it.'),
  every: duration.prefault('28d').describe('Days between releases.'),
  window: duration
    .prefault('7d')
    .describe('Builds of this long before the due date may become the candidate.'),
  soak: duration.prefault('2d').describe('A build must be so old before it is proposed by the schedule.'),
  reminders: z
    .array(duration)
    .prefault(['7d', '3d', '1d'])
    .describe('The SIG is reminded so long before the due date while there is no release.'),
  upstream: upstream.optional().describe('The upstream whose builds the releases follow.'),
});

const mail = z.strictObject({
  server: plain
    .regex(/^smtps?:\/\/([\w.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$/, {
      error: 'write `smtp://host[:port]` or `smtps://host[:port]`',
    })
    .describe('The mail server: `smtps://` is TLS from the start, `smtp://` upgrades by STARTTLS.'),
  startTls: z
    .enum(['required', 'offered', 'never'])
    .default('required')
    .describe('For `smtp://`: insist on TLS, use it where it is offered, or never (loopback only).'),
  caFile: plain
    .optional()
    .describe('File of certificates (PEM) of authorities to trust besides those that Node.js ships.'),
  user: z.string().min(1).optional().describe('User name, if the server wants one.'),
  passwordFile: plain.optional().describe('File with the password, on the hosts of the publish role.'),
  from: mailbox.describe('Sender.'),
});

const sig = z.strictObject({
  to: z.array(mailbox).default([]).describe('Who is told of candidates, missing approvals and missed dates.'),
  webhook: httpUrl.optional().describe('POSTs a JSON object for each of these.'),
});

const announce = z.strictObject({
  to: z.array(mailbox).default([]).describe('The announce lists.'),
  key: plain
    .optional()
    .describe('File of the public key that signs the mail inline; the signing role has its private part.'),
  hold: z.boolean().default(false).describe('Wait for a person’s go (`treeline announce --go`)?'),
  inDoubt: z
    .enum(['hold', 'again'])
    .default('hold')
    .describe(
      'When it is not known whether the server took the mail: ask a person, or send it again under the same Message-ID.',
    ),
  webhook: httpUrl.optional().describe('POSTs a JSON object for each release.'),
});

export const releaseSettings = z
  .strictObject({
    mode: z
      .enum(['copy', 'signed-rebuild'])
      .default('copy')
      .describe(
        '`copy`: the chosen build is released as it is. `signed-rebuild`: it is redone from its package set, signed throughout, tested, and released when the SIG decides so.',
      ),
    ref: refTemplate
      .optional()
      .describe('The ref of releases; commits are bound to it too. Default: the stream’s `ref`.'),
    approvers: z.array(approver).min(1).describe('The SIG members who may decide.'),
    approvals: approvals.prefault({}).describe('How many of them each decision needs.'),
    testers: z
      .array(approver)
      .default([])
      .describe('People who may sign test reports besides the approvers, and nothing else.'),
    proposerCounts: z.boolean().default(true).describe('Is an approver’s own proposal an approval?'),
    statementAge: duration.prefault('7d').describe('A statement that is older when it arrives is refused.'),
    proposalAge: duration.prefault('28d').describe('A proposal without enough approvals ends after this.'),
    remindEvery: duration.prefault('3d').describe('The SIG is reminded of a waiting proposal this often.'),
    cadence: cadence.optional().describe('When releases are due; without it whenever the SIG decides.'),
    rebuild: rebuildSettings.optional(),
    security: securitySettings.optional(),
    knownIssues: plain
      .optional()
      .describe('Text file, a known issue per paragraph, for the release notes; read at each release.'),
    mail: mail.optional().describe('How mail is sent; without it none is.'),
    sig: sig.prefault({}).describe('How the SIG is told.'),
    announce: announce.prefault({}).describe('How releases are announced.'),
  })
  .describe('Releases; without it the stream has none.');
export type ReleaseSettings = z.infer<typeof releaseSettings>;
export type CadenceSettings = z.infer<typeof cadence>;
