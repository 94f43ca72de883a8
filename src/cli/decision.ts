/** One decision from the command line: show, confirm, sign, send. Each deciding command says only what is its own. */
import type { Command } from 'commander';
import { createInterface } from 'node:readline/promises';
import type { Group } from '../domain/decisions/decision.js';
import { Failure } from '../domain/failures.js';
import { membersOf } from '../domain/judgement.js';
import { kindOf, type Decision, type Statement, type StatementOf } from '../domain/statement.js';
import { approverKeys, type Approver } from '../keys/statement.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import type { Settings } from '../settings.js';
import { Store } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { connect } from '../temporal/connect.js';
import type { Answer } from '../workflows/decisions/stream-messages.js';
import { sendUpdate, type Updates } from './entity.js';
import { CliError, clean, exitCodes, printJson } from './output.js';
import { commitsOf, knownReleases, type Known } from './releases.js';
import { commandStep } from './step.js';
import {
  makeStatement,
  secretKeys,
  signStatement,
  statementText,
  updateIdOf,
  type BuildFacts,
  type Facts,
} from './statement.js';

export interface DecisionOptions {
  readonly key?: string;
  readonly gnupgHome?: string;
  readonly reason?: string;
  readonly yes?: boolean;
  readonly print?: boolean;
  readonly json?: boolean;
}

/** The options that all deciding commands share. */
export const withDecisionOptions = (command: Command): Command =>
  command
    .option('--key <key>', 'sign with this key; default: GnuPG’s own default key')
    .option('--gnupg-home <dir>', 'GnuPG home; default: GNUPGHOME, or your own')
    .option('--reason <text>', 'why, for the record')
    .option('--yes', 'do not ask')
    .option('--print', 'print the statement unsigned and stop, to sign it elsewhere; see `submit`')
    .option('--json', 'print the answer as JSON');

/** Of `promote`, `approve` and `release`: it is said although the build lacks fixes. */
export interface UnfixedOptions {
  /** Ids of security cases. */
  readonly unfixed: readonly string[];
}

export const withUnfixed = (command: Command): Command =>
  command.option(
    '--unfixed <case>',
    'release it although it lacks the fix of this security case; may be repeated',
    (value: string, others: string[]) => [...others, value],
    [],
  );

/** The statement's part of it. */
export const unfixedOf = ({ unfixed }: UnfixedOptions): { unfixed?: string[] } =>
  unfixed.length > 0 ? { unfixed: [...unfixed] } : {};

/**
 * Makes, shows, signs and sends a decision. `choose` says what is decided about; `show` prints what the person is about to sign.
 * The server is looked for first, so that nobody signs in vain.
 */
export async function decide<D extends Decision>(
  settings: Settings,
  stream: string,
  decision: D,
  options: DecisionOptions,
  choose: (known: Known, store: Store) => Facts<D> | Promise<Facts<D>>,
  show: (store: Store, said: StatementOf<D>, known: Known) => Promise<void> | void,
): Promise<void> {
  const release = await needReleases(settings, stream);
  const store = new Store(settings.state);
  const client = await connect(settings).catch((error: unknown) => {
    if (options.print) return undefined;
    throw error;
  });
  try {
    const known = await knownReleases(store, stream, client);
    const facts: BuildFacts = await choose(known, store);
    const { reason } = options;
    const said = makeStatement<D>({
      ...facts,
      ...{ stream, decision },
      commits: facts.commits ?? (await commitsOf(store, stream, facts.build, known)),
      ...(reason === undefined ? {} : { reason }),
    });
    const why = kindOf(decision).check(said, whatIsKnown(known, said));
    const subject = ('case' in said ? said.case : undefined) ?? said.build;
    if (why !== undefined) throw new CliError(`${stream} ${subject}: ${why}`, exitCodes.usage);
    if (options.print || !client) return console.log(statementText(said).trimEnd());
    const about: Statement = said;
    if (about.decision === 'rework') {
      const { build, changes } = about;
      const { message } = await sendUpdate(client, stream, 'checkRework', { build, changes });
      if (!options.json) console.log(clean(message));
    }
    await needMember(
      settings,
      stream,
      membersOf(release, kindOf(decision).group),
      kindOf(decision).group,
      options,
    );
    if (!options.json) await show(store, said, known);
    await confirm(`${decision} ${stream} ${said.build}?`, options);
    const text = await signStatement(said, { key: options.key, home: options.gnupgHome });
    const { build } = said;
    const answer =
      decision === 'promote'
        ? await sendUpdate(client, stream, 'promote', { build, statement: text }, updateIdOf(text))
        : await sendUpdate(client, stream, 'decide', { statement: text }, updateIdOf(text));
    printAnswer(answer, options);
  } finally {
    await client?.connection.close();
  }
}

/** Nobody types a passphrase for a statement that counts for nothing. Throws `CliError` where no key to sign with is that of a member. */
async function needMember(
  settings: Settings,
  stream: string,
  members: readonly Approver[],
  group: Group,
  { key, gnupgHome }: DecisionOptions,
): Promise<void> {
  const own = await secretKeys({ key, home: gnupgHome });
  // Without private keys here, or the members' public ones, signing and the workflow say what is wrong.
  if (own.length === 0) return;
  const step = await commandStep(settings, 'decide');
  const keys = await approverKeys(step, members).catch(() => undefined);
  if (keys && !keys.some(({ fingerprint }) => own.includes(fingerprint)))
    throw new CliError(
      `${key === undefined ? 'none of your keys belongs to' : `\`${key}\` is not the key of`} ${groupText[group]} of ${stream} (${members.map(({ name }) => name).join(', ')}): name yours with \`--key\``,
      exitCodes.usage,
    );
}

const groupText: Readonly<Record<Group, string>> = {
  approvers: 'an approver',
  security: 'a member of the security group',
  testers: 'an approver or tester',
};

/** What the stream workflow will check the statement against. */
const whatIsKnown = ({ current, released, promotions, security }: Known, said: Statement) => ({
  current,
  currentSince: released.find(({ build }) => build === current)?.at,
  attempt: promotions.find(({ build }) => build === said.build)?.attempts?.at(-1),
  case: 'case' in said ? security?.find(({ id }) => id === said.case) : undefined,
});

/** Sends an update that needs no signature of its own, such as a retry, or whose statement was signed elsewhere. */
export async function send<U extends keyof Updates>(
  settings: Settings,
  stream: string,
  update: U,
  request: Updates[U],
  { json, id }: { json?: boolean | undefined; id?: string },
): Promise<void> {
  await needReleases(settings, stream);
  const client = await connect(settings);
  try {
    printAnswer(await sendUpdate(client, stream, update, request, id), { json });
  } finally {
    await client.connection.close();
  }
}

/** A misspelt stream must not start a workflow. */
async function needReleases(settings: Settings, stream: string): Promise<ReleaseSettings> {
  const { release } = await loadStream(settings, stream);
  if (!release)
    throw new Failure(
      'StreamInvalid',
      `${stream}: the stream has no \`release\` in its stream file: nothing to decide`,
    );
  return release;
}

function printAnswer(answer: Answer, { json }: { readonly json?: boolean | undefined }): void {
  if (json) printJson(answer);
  else console.log(clean(answer.message));
}

/** Asks on the terminal. Throws `CliError` for a no, and where the command is not interactive. */
export async function confirm(question: string, { yes, json }: DecisionOptions): Promise<void> {
  if (yes) return;
  if (json || !process.stdin.isTTY || !process.stdout.isTTY)
    throw new CliError('not interactive: confirm with `--yes`', exitCodes.usage);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-C and Ctrl-D are a no.
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('nothing was signed or sent');
}
