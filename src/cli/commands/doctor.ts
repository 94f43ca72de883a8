/** `doctor`: what is there, what is missing and how to get it, for each role. */
import type { Command } from 'commander';
import { execa } from 'execa';
import { mkdir, statfs } from 'node:fs/promises';
import { roles, type Role } from '../../activities/index.js';
import { composerNames, composerTools } from '../../composers/index.js';
import { formatBytes } from '../../domain/units.js';
import { imageKinds } from '../../images/index.js';
import { imageTools } from '../../images/tools.js';
import { chooseAccelerator, virtualizationOf } from '../../images/virtualization.js';
import {
  expiresWithin,
  instanceKeyFile,
  readKey,
  requirePrivateKey,
  signingHome,
  type KeyFacts,
} from '../../keys/gpg.js';
import { examineKey } from '../../keys/strength.js';
import type { Settings } from '../../settings.js';
import type { Step } from '../../steps/step.js';
import { findTool, tool, type Tool } from '../../steps/tools.js';
import { listStreams, loadStream } from '../../streams/load.js';
import { connect } from '../../temporal/connect.js';
import { findServer } from '../../temporal/server.js';
import { CliError, exitCodes, paint, printJson, printTable } from '../output.js';
import { commandStep } from '../step.js';
import { parseRoles } from './servers.js';

interface Check {
  readonly role: string;
  readonly what: string;
  readonly ok: boolean;
  /** What was found, or how to fix it. */
  readonly detail: string;
  /** Missing, but nothing that is declared needs it here. */
  readonly optional?: boolean;
}

const gpg = tool('gpg', 'gnupg', 'gnupg2');
const namespaces = [tool('setpriv', 'util-linux'), tool('unshare', 'util-linux')];

/** Tools of each role, but for the composers: of those a host needs one. */
function toolsOf(role: Role): readonly Tool[] {
  // OpenSSL makes the certificates of the embedded Temporal server.
  if (role === 'control') return [...namespaces, tool('git', 'git'), tool('openssl', 'openssl')];
  if (role === 'images') return [...namespaces, ...imageTools];
  if (role === 'signing')
    return [
      ...namespaces,
      gpg,
      tool('ostree', 'ostree'),
      // For signed rebuilds.
      tool('rpmsign', 'rpm', 'rpm-sign'),
      tool('rpmkeys', 'rpm'),
      tool('createrepo_c', 'createrepo-c', 'createrepo_c'),
    ];
  if (role === 'publish')
    return [
      ...namespaces,
      tool('rsync', 'rsync'),
      tool('ssh', 'openssh-client', 'openssh-clients'),
      tool('ostree', 'ostree'),
      gpg,
    ];
  return namespaces;
}

async function checkTools(role: Role, settings: Settings, tools = toolsOf(role)): Promise<Check[]> {
  const packager =
    (await findTool(settings.path, 'dnf')) && !(await findTool(settings.path, 'dpkg')) ? 'fedora' : 'debian';
  return Promise.all(
    tools.map(async (one) => {
      const found = await findTool(settings.path, one.command);
      const install = packager === 'debian' ? `apt-get install ${one.debian}` : `dnf install ${one.fedora}`;
      return { role, what: one.command, ok: found !== undefined, detail: found ?? install };
    }),
  );
}

/** A compose host needs one composer; what another one lacks is told, but nothing to fail for. */
async function checkComposers(settings: Settings): Promise<Check[]> {
  const checks = await Promise.all(
    composerNames.map(async (name) => {
      const found = await checkTools('compose', settings, composerTools(name));
      return found.map((check) => ({ ...check, what: `${check.what} (composer ${name})` }));
    }),
  );
  const one = checks.some((tools) => tools.every(({ ok }) => ok));
  return checks.flat().map((check) => ({ ...check, optional: one }));
}

/** Signing keys by their files, with what they are for. */
async function signingKeys(settings: Settings): Promise<Map<string, SigningKeyUse>> {
  const keys = new Map<string, SigningKeyUse>([
    [instanceKeyFile(settings.state), { what: 'signing key of instance', instance: true }],
  ]);
  for (const name of await listStreams(settings)) {
    const stream = await loadStream(settings, name).catch(() => undefined);
    if (!stream) continue;
    const rebuild = stream.release?.rebuild;
    const add = (file: string | undefined, what: string) => {
      if (file === undefined) return;
      const known = keys.get(file) ?? { what: `${what} of ${name}` };
      keys.set(file, rebuild ? { ...known, expiryWarning: rebuild.expiryWarning } : known);
    };
    add(stream.signingKey, 'signing key');
    if (!rebuild) continue;
    add(rebuild.rpmKey, 'package key');
    add(stream.release?.announce.key, 'announcement key');
  }
  return keys;
}

interface SigningKeyUse {
  readonly what: string;
  readonly instance?: boolean;
  /** Seconds. Of a stream with signed rebuilds: then the key must be a strong one. */
  readonly expiryWarning?: number;
}

async function checkKeys(settings: Settings): Promise<Check[]> {
  const step = await commandStep(settings, 'doctor');
  const home = signingHome(settings.state);
  const checks: Check[] = [];
  // One after the other: each gpg may start the home's agent, which ends with the command that started it.
  for (const [file, use] of await signingKeys(settings)) checks.push(await checkKey(step, home, file, use));
  return checks;
}

/** Seconds. */
const usualWarning = 30 * 86_400;

async function checkKey(
  step: Step,
  home: string,
  file: string,
  { what, instance = false, expiryWarning }: SigningKeyUse,
): Promise<Check> {
  const check = { role: 'signing', what };
  try {
    const soon = (key: KeyFacts) =>
      expiresWithin(key, expiryWarning ?? usualWarning, new Date()) ? ': renew it soon' : '';
    if (expiryWarning !== undefined) {
      const key = await examineKey(step, home, file);
      const detail = `${key.fingerprint}, ${key.algorithm}${expiryOf(key)}${soon(key)}`;
      return { ...check, ok: true, detail };
    }
    const key = await readKey(step, file);
    await requirePrivateKey(step, home, key);
    return { ...check, ok: true, detail: `${key.fingerprint}${expiryOf(key)}${soon(key)}` };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const detail = instance ? `${message}; \`treeline init\` makes it` : `${message}; import it`;
    return { ...check, ok: false, detail, optional: !instance };
  }
}

const expiryOf = ({ expires }: KeyFacts) =>
  expires ? `, expires ${expires.toISOString().slice(0, 10)}` : '';

async function checkMachine(settings: Settings): Promise<Check[]> {
  await mkdir(settings.state, { recursive: true });
  const { bavail, bsize } = await statfs(settings.state);
  const free = bavail * bsize;
  const root = process.getuid?.() === 0;
  const spaces = await execa('unshare', ['--mount', '--pid', '--fork', 'true'], { reject: false });
  return [
    {
      role: 'compose',
      what: 'root',
      ok: root,
      detail: root ? 'yes' : 'composes and images need root: run the worker as root',
    },
    {
      role: 'compose',
      what: 'namespaces',
      ok: spaces.exitCode === 0,
      detail:
        spaces.exitCode === 0
          ? 'mount and PID namespaces work'
          : 'unshare(2) is refused: allow it in the container or service',
    },
    {
      role: 'compose',
      what: 'free space',
      ok: free > 5 * 2 ** 30,
      detail: `${formatBytes(free)} in ${settings.state}`,
    },
  ];
}

/** A host without KVM boots its images all the same, only slower. */
async function checkVirtualization(settings: Settings): Promise<Check> {
  const check = { role: 'images', what: 'virtualization', optional: true };
  const step = await commandStep(settings, 'doctor');
  return chooseAccelerator(step, virtualizationOf(settings)).then(
    ({ accelerator, why }) => ({
      ...check,
      ok: accelerator === 'kvm',
      detail:
        why === undefined
          ? `${accelerator.toUpperCase()}${settings.accelerator === 'auto' ? '' : ', by TREELINE_ACCELERATOR'}`
          : `boot tests are emulated (TCG), several times slower: ${why}`,
    }),
    (error: unknown) => ({
      ...check,
      ok: false,
      detail: error instanceof Error ? error.message : String(error),
    }),
  );
}

async function checkServer(settings: Settings): Promise<Check[]> {
  const program = await findServer();
  const server = await connect(settings).then(
    async (client) => (await client.connection.close(), true),
    () => false,
  );
  return [
    {
      role: 'control',
      what: 'temporal-server',
      ok: program !== undefined,
      detail: program ?? 'bin/setup builds it',
    },
    {
      role: 'control',
      what: 'Temporal server',
      ok: server,
      detail: server
        ? settings.temporalAddress
        : `none at ${settings.temporalAddress}: \`treeline up\` starts one`,
      optional: true,
    },
  ];
}

export function addDoctor(program: Command, settings: Settings): void {
  program
    .command('doctor')
    .description('show what is there, what is missing and how to get it, for each role')
    .option('--roles <roles>', 'only these', parseRoles, roles)
    .option('--json', 'print JSON')
    .action(async ({ roles: of, json }: { roles: Role[]; json?: boolean }) => {
      const all = [
        ...(await checkServer(settings)),
        ...(await checkMachine(settings)),
        ...(await checkKeys(settings)),
        ...(await Promise.all(roles.map((role) => checkTools(role, settings)))).flat(),
        ...(await checkComposers(settings)),
        ...(of.includes('images') ? [await checkVirtualization(settings)] : []),
      ];
      const checks = all
        .filter(({ role }) => (of as string[]).includes(role))
        .sort((a, b) => of.indexOf(a.role as Role) - of.indexOf(b.role as Role));
      if (json) printJson(checks);
      else {
        printTable(
          ['ROLE', '', 'WHAT', ''],
          checks.map(({ role, what, ok, detail, optional }) => [
            role,
            ok ? paint('green', '✓') : optional ? paint('yellow', '–') : paint('red', '✗'),
            what,
            detail,
          ]),
        );
        console.log(`\nimage kinds: ${Object.keys(imageKinds).join(', ')}`);
      }
      const missing = checks.filter(({ ok, optional }) => !ok && !optional);
      if (missing.length > 0)
        throw new CliError(
          `${missing.length} missing: ${missing.map(({ what }) => what).join(', ')}`,
          exitCodes.failed,
        );
    });
}
