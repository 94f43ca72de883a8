/** What a stream file's `release` means beyond its schema. */
import { isAbsolute } from 'node:path';
import { checkCadence } from '../domain/cadence.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import type { SecuritySettings } from '../domain/security-settings.js';
import { isRebuildDecision, type Decision } from '../domain/statement.js';
import type { Stream } from '../domain/stream.js';
import type { Add } from './mistakes.js';

/** Mistakes that only the whole shows. */
export function checkRelease(stream: Stream, add: Add): void {
  const { release, publish, architectures, ref } = stream;
  if (!release) return;
  const places = release.mode === 'copy' ? (['release'] as const) : (['testing', 'mirror', 'cloud'] as const);
  for (const place of places)
    if (!publish[place])
      add(
        ['publish', place],
        `missing: \`release\` needs a location; add \`publish.${place}\` with \`location\` and \`url\``,
      );
  if (release.mode === 'signed-rebuild') checkRebuild(stream, release, add);
  if (architectures.length > 1 && !(release.ref ?? ref).includes('${arch}'))
    add(['release', 'ref'], 'several architectures would share one ref: put `${arch}` into it');
  for (const field of ['name', 'key'] as const) {
    for (const [place, approver] of release.approvers.entries())
      if (release.approvers.findIndex((other) => other[field] === approver[field]) < place)
        add(['release', 'approvers', place, field], 'listed twice: an approver counts once');
    for (const [place, tester] of release.testers.entries())
      if (release.testers.findIndex((other) => other[field] === tester[field]) < place)
        add(['release', 'testers', place, field], 'listed twice: a tester counts once');
      else if (release.approvers.some((approver) => approver[field] === tester[field]))
        add(
          ['release', 'testers', place, field],
          'is an approver, who may sign test reports anyway: remove it',
        );
  }
  const { reports, ...approvals } = release.approvals;
  const reporters = release.approvers.length + release.testers.length;
  if (reports > reporters)
    add(
      ['release', 'approvals', 'reports'],
      `${reports} passing reports are needed, but there are ${reporters} approvers and testers: lower it or add some`,
    );
  for (const [decision, needed] of Object.entries(approvals))
    // A stream that is released by copy never comes to the others.
    if (
      needed > release.approvers.length &&
      (release.mode !== 'copy' || !isRebuildDecision(decision as Decision))
    )
      add(
        ['release', 'approvals', decision],
        `${needed} approvals are needed, but there are ${release.approvers.length} approvers: lower it or add some`,
      );
  if (release.security) checkSecurity(release, release.security, add);
  if (release.mail?.user !== undefined && release.mail.passwordFile === undefined)
    add(['release', 'mail', 'passwordFile'], 'missing: `user` needs it');
  if (!release.mail && (release.announce.to.length > 0 || release.sig.to.length > 0))
    add(['release', 'mail'], 'missing: there are recipients, but no mail server');
  for (const problem of release.cadence ? checkCadence(release.cadence) : [])
    add(['release', 'cadence'], problem);
}

function checkRebuild(
  { composer, ref }: Stream,
  { rebuild, ref: released }: ReleaseSettings,
  add: Add,
): void {
  if (composer === 'rpm-ostree' && released !== undefined && released !== ref)
    add(['release', 'ref'], 'rpm-ostree takes the ref from the treefile: leave `release.ref` out');
  if (!rebuild)
    return add(
      ['release', 'rebuild'],
      'missing: `mode: signed-rebuild` needs it; see docs/stream-reference.md',
    );
  if (rebuild.packages === 'list' && rebuild.list.length === 0)
    add(['release', 'rebuild', 'list'], 'missing: `packages: list` needs names of source packages');
  if (rebuild.mirrorsNeeded > rebuild.mirrors.length)
    add(
      ['release', 'rebuild', 'mirrorsNeeded'],
      `${rebuild.mirrorsNeeded} mirrors are needed, but ${rebuild.mirrors.length} are named in \`mirrors\``,
    );
}

function checkSecurity(
  { approvers, approvals, mail }: ReleaseSettings,
  security: SecuritySettings,
  add: Add,
): void {
  const { approvers: group, to } = security;
  const at = ['release', 'security'];
  const names = approvers.map(({ name }) => name);
  for (const [place, name] of group.entries())
    if (!names.includes(name))
      add([...at, 'approvers', place], `${name} is none of \`release.approvers\`: ${names.join(', ')}`);
    else if (group.indexOf(name) < place)
      add([...at, 'approvers', place], 'listed twice: an approver counts once');
  // Those of the whole SIG are checked with the other decisions.
  if (group.length > 0 && approvals.fix > group.length)
    add(
      ['release', 'approvals', 'fix'],
      `${approvals.fix} approvals are needed, but there are ${group.length} in \`release.security.approvers\`: lower it or add some`,
    );
  if (!mail && to.length > 0)
    add(['release', 'mail'], 'missing: `security.to` has recipients, but there is no mail server');
}

/** The same with paths made absolute by `at`. */
export function releaseWithPaths(release: ReleaseSettings, at: (path: string) => string): ReleaseSettings {
  const { mail, announce, knownIssues, cadence, rebuild, security } = release;
  const list = cadence?.upstream?.builds;
  return {
    ...release,
    approvers: release.approvers.map(({ name, key }) => ({ name, key: at(key) })),
    testers: release.testers.map(({ name, key }) => ({ name, key: at(key) })),
    ...(rebuild
      ? {
          rebuild: {
            ...rebuild,
            rpmKey: at(rebuild.rpmKey),
            sources: rebuild.sources.map((repo) => ({ ...repo, gpgKeys: repo.gpgKeys.map(at) })),
          },
        }
      : {}),
    ...(security
      ? {
          security: {
            ...security,
            advisories: security.advisories.map((place) => (/^https?:/.test(place) ? place : at(place))),
          },
        }
      : {}),
    announce: { ...announce, ...(announce.key === undefined ? {} : { key: at(announce.key) }) },
    ...(knownIssues === undefined ? {} : { knownIssues: at(knownIssues) }),
    ...(mail
      ? {
          mail: {
            ...mail,
            ...(mail.caFile === undefined ? {} : { caFile: at(mail.caFile) }),
            ...(mail.passwordFile === undefined ? {} : { passwordFile: at(mail.passwordFile) }),
          },
        }
      : {}),
    ...(cadence?.upstream && list !== undefined && !/^https?:/.test(list) && !isAbsolute(list)
      ? { cadence: { ...cadence, upstream: { ...cadence.upstream, builds: at(list) } } }
      : {}),
  };
}
