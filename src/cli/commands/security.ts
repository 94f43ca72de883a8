/** `security [STREAM]`: cases, advisories and time to fix; asks for a security release, and decides about its case. */
import type { Command } from 'commander';
import { Failure } from '../../domain/failures.js';
import type { Settings } from '../../settings.js';
import { listStreams, loadStream } from '../../streams/load.js';
import { decide, send, withDecisionOptions, type DecisionOptions } from '../decision.js';
import { CliError, exitCodes, printJson } from '../output.js';
import { chooseCaseWord, chooseFix, showCaseWord, showFix, type CaseWord } from '../security-decision.js';
import { printSecurity, printSecurityOfAll, readSecurity, securityJson } from '../security-table.js';

interface Options extends DecisionOptions {
  advisory: string[];
  package: string[];
  srpm: string[];
  embargo?: boolean;
  approve?: string;
  accept?: string;
  dismiss?: string;
  withdraw?: string;
  retry?: string;
}

export function addSecurity(program: Command, settings: Settings): void {
  const collect = (value: string, others: string[]) => [...others, value];
  withDecisionOptions(
    program
      .command('security')
      .argument('[stream]', 'default: all streams, in one table')
      .description(
        'show security cases, advisories and time to fix; ask for a security release; decide about a case',
      )
      .option('--advisory <id>', 'ask for a release that fixes this advisory; may be repeated', collect, [])
      .option(
        '--package <nevra>',
        'ask for one with this package, name-[epoch:]version-release.arch; may be repeated',
        collect,
        [],
      )
      .option(
        '--srpm <file>',
        'ask for one with packages made from this source RPM; may be repeated',
        collect,
        [],
      )
      .option('--embargo', 'with these: nothing of it is shown or told in public before its release')
      .option('--approve <case>', 'show the plan of a case, sign your approval and send it')
      .option('--accept <case>', 'sign that what else has changed in its build is accepted')
      .option('--dismiss <case>', 'sign that nothing is released for it; needs --reason')
      .option('--withdraw <case>', 'sign that you take back your word on it')
      .option('--retry <case>', 'retry a failed case'),
  ).action((stream: string | undefined, options: Options) => security(settings, stream, options));
}

async function security(settings: Settings, stream: string | undefined, options: Options): Promise<void> {
  const { retry, json } = options;
  const asks = options.advisory.length + options.package.length + options.srpm.length > 0;
  const words = caseWords.filter((word) => options[word] !== undefined);
  const [word] = words;
  const actions = words.length + (asks ? 1 : 0) + (retry === undefined ? 0 : 1);
  const usage = (why: string) => new CliError(why, exitCodes.usage);
  if (actions > 1)
    throw usage(
      'one at a time: --advisory, --package and --srpm together, or one of --approve, --accept, --dismiss, --withdraw, --retry',
    );
  if (options.embargo && !asks) throw usage('--embargo goes with --advisory, --package or --srpm');
  if (stream === undefined) {
    if (actions > 0) throw usage('name the stream');
    return listAll(settings, json);
  }
  await needSecurity(settings, stream);
  if (retry !== undefined) return send(settings, stream, 'retry', { build: retry }, { json });
  if (asks)
    return decide(
      settings, stream, 'fix', options,
      (known, store) => chooseFix(store, stream, options, known),
      (_store, choice) => showFix(stream, choice),
    ); // prettier-ignore
  if (word === undefined) {
    const known = await readSecurity(settings, stream);
    return json ? printJson(securityJson(known)) : printSecurity(known);
  }
  const id = options[word] ?? '';
  return decide(
    settings, stream, decisionOf[word], options,
    (known, store) => chooseCaseWord(store, stream, word, id, options, known),
    (store, choice, known) => showCaseWord(store, stream, word, choice, known),
  ); // prettier-ignore
}

const decisionOf = {
  approve: 'approve-fix',
  accept: 'accept-fix',
  dismiss: 'dismiss-fix',
  withdraw: 'withdraw',
} as const;
const caseWords = Object.keys(decisionOf) as CaseWord[];

async function listAll(settings: Settings, json: boolean | undefined): Promise<void> {
  const all = [];
  for (const name of await listStreams(settings)) {
    const { release } = await loadStream(settings, name);
    if (release?.security) all.push(await readSecurity(settings, name));
  }
  if (json) printJson(all.map(securityJson));
  else printSecurityOfAll(all);
}

async function needSecurity(settings: Settings, stream: string): Promise<void> {
  const { release } = await loadStream(settings, stream);
  if (!release?.security)
    throw new Failure(
      'StreamInvalid',
      `${stream}: release.security: missing: the stream has no security releases. See docs/security.md.`,
    );
}
