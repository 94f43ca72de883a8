/** What approvers say about a promotion or a release: `approve`, `reject`, `withdraw`, `decide`, `rollback`, `announce`, `retry`, `submit`. */
import { Argument, type Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { kindOf, rebuildDecisions, type RebuildDecision } from '../../domain/statement.js';
import type { Settings } from '../../settings.js';
import { previewAnnouncement } from '../announcement.js';
import {
  decide,
  send,
  unfixedOf,
  withDecisionOptions,
  withUnfixed,
  type DecisionOptions,
} from '../decision.js';
import { CliError, exitCodes, paint } from '../output.js';
import { showPromotion } from '../preview.js';
import { showReports } from '../reports.js';
import { chooseAttempt, showDecision, type RebuildOptions } from '../rebuild-decision.js';
import { formerRelease, type Known } from '../releases.js';
import { loadStream } from '../../streams/load.js';
import { readSigned, updateIdOf } from '../statement.js';

const aboutPromotions = ['approve', 'reject', 'withdraw'] as const;

export function addDecide(program: Command, settings: Settings): void {
  for (const decision of aboutPromotions)
    withDecisionOptions(
      optionsOf[decision](
        program
          .command(decision)
          .argument('<stream>')
          .argument('<build>', 'build id')
          .description(`show, sign and send: ${kindOf(decision).text.does}`),
      ),
    ).action((stream: string, build: string, options: PromotionOptions) =>
      decide(
        settings,
        stream,
        decision,
        options,
        (known) => ({
          ...{ build, onto: known.current },
          ...(decision === 'withdraw' ? wordToWithdraw(known, build, options) : {}),
          ...(decision === 'approve' ? unfixedOf({ unfixed: options.unfixed ?? [] }) : {}),
        }),
        async (store, said, known) => {
          if (said.decision !== 'approve') return;
          await showPromotion(store, stream, build, said.onto);
          sayUnfixed(known, build, said.unfixed);
          await showReports(settings, store, stream, said);
        },
      ),
    );

  addDecideAttempt(program, settings);

  withDecisionOptions(
    program
      .command('rollback')
      .argument('<stream>')
      .option('--to <build>', 'the release to return to; default: the one before')
      .description('sign that readers return from the current release to a former one, and send it'),
  ).action((stream: string, options: DecisionOptions & { to?: string }) =>
    decide(
      settings,
      stream,
      'rollback',
      options,
      (known) => chooseRollback(stream, known, options.to),
      (_store, { build, onto }) => {
        console.log(`${stream}: readers return from ${build} to ${onto}`);
      },
    ),
  );

  addAnnounce(program, settings);

  program
    .command('retry')
    .argument('<stream>')
    .argument('<build>', 'build id')
    .description('retry a failed release')
    .option('--json', 'print the answer as JSON')
    .action((stream: string, build: string, options: { json?: boolean }) =>
      send(settings, stream, 'retry', { build }, options),
    );

  program
    .command('submit')
    .argument('<file>', 'the clear-signed statement, or `-` for standard input')
    .description('send a statement that was printed with `--print` and signed elsewhere')
    .option('--json', 'print the answer as JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const text = file === '-' ? await readAll(process.stdin) : await readGiven(file);
      const { stream, decision, build } = readSigned(text, file);
      const options = { json, id: updateIdOf(text) };
      return decision === 'promote'
        ? send(settings, stream, 'promote', { build, statement: text }, options)
        : send(settings, stream, 'decide', { statement: text }, options);
    });
}

interface PromotionOptions extends DecisionOptions {
  all?: boolean;
  unfixed?: string[];
}

/** Says which fixes the build lacks that the statement does not name: it would not count. */
function sayUnfixed({ promotions }: Known, build: string, named: readonly string[] = []): void {
  const lacks = promotions.find((promotion) => promotion.build === build)?.unfixed ?? [];
  const left = lacks.filter((id) => !named.includes(id));
  if (left.length > 0)
    console.log(
      paint('yellow', `it lacks fixes that readers have: ${left.map((id) => `--unfixed ${id}`).join(' ')}\n`),
    );
}

const withAttempt = (command: Command): Command =>
  command.option(
    '--all',
    'of a build whose signed rebuild has begun: also the approval, not only your word on the last attempt',
  );

const optionsOf = { approve: withUnfixed, reject: (command: Command) => command, withdraw: withAttempt };

/** Of a build whose signed rebuild has begun, one's word on its last attempt is taken back. */
function wordToWithdraw({ promotions }: Known, build: string, { all }: PromotionOptions) {
  const attempt = promotions.find((promotion) => promotion.build === build)?.attempts?.at(-1);
  return attempt && !all ? { attempt: attempt.number } : {};
}

/** `decide STREAM BUILD release|redo|rework|accept|abandon` */
function addDecideAttempt(program: Command, settings: Settings): void {
  const collect = (value: string, others: string[]) => [...others, value];
  withUnfixed(
    withDecisionOptions(
      program
        .command('decide')
        .argument('<stream>')
        .argument('<build>', 'id of the accepted build, or of the signed one')
        .addArgument(
          new Argument(
            '<decision>',
            rebuildDecisions.map((name) => `${name}: ${kindOf(name).text.does}`).join('; '),
          ).choices(rebuildDecisions),
        )
        .description('sign what becomes of the last signed rebuild of an accepted build, and send it')
        .option('--reuse', 'redo, rework: take signed packages whose sources are the same', true)
        .option('--no-reuse', 'redo, rework: rebuild all of them again')
        .option('--pin <name=evra>', 'rework: take this version of a package; may be repeated', collect, [])
        .option('--drop <name>', 'rework: leave a package out; may be repeated', collect, [])
        .option('--current-files', 'rework: treefile and stream file as they are now')
        .option('--accepted-inputs', 'rework: without the changes of the last attempt'),
    ),
  ).action(
    async (
      stream: string,
      build: string,
      decision: RebuildDecision,
      options: DecisionOptions & RebuildOptions,
    ) => {
      const declared = await loadStream(settings, stream);
      return decide(
        settings,
        stream,
        decision,
        options,
        (known, store) => chooseAttempt(store, stream, build, decision, options, known),
        async (store, said, known) => {
          await showDecision(store, declared, said, known);
          if (said.decision === 'release')
            await showReports(settings, store, stream, { build: said.signed, commits: said.commits });
        },
      );
    },
  );
}

interface AnnounceOptions extends DecisionOptions {
  go?: boolean;
  preview?: boolean;
  sent?: boolean;
  again?: boolean;
}

function addAnnounce(program: Command, settings: Settings): void {
  withDecisionOptions(
    program
      .command('announce')
      .argument('<stream>')
      .argument('<build>', 'build id of a release')
      .description('the announcement of a release: show it, let it go, or say what became of it')
      .option('--preview', 'show mail, feed entry and webhook; send nothing')
      .option('--go', 'sign that the held announcement may go')
      .option('--sent', 'in doubt: the mail did arrive')
      .option('--again', 'in doubt: send the mail again, under the same Message-ID'),
  ).action(async (stream: string, build: string, options: AnnounceOptions) => {
    const { go, preview, sent, again, json } = options;
    if ([go, preview, sent, again].filter(Boolean).length !== 1)
      throw new CliError('give one of --preview, --go, --sent and --again', exitCodes.usage);
    if (preview) return previewAnnouncement(settings, stream, build);
    if (!go) return send(settings, stream, 'retry', { build, mail: sent ? 'sent' : 'again' }, { json });
    return decide(
      settings,
      stream,
      'announce',
      options,
      ({ current }) => ({ build, onto: current }),
      () => {
        console.log(`${stream} ${build}: the announcement goes out. \`--preview\` shows it.`);
      },
    );
  });
}

/** From the current release to `to`, or to the one before. Throws `CliError` where that cannot be. */
export function chooseRollback(stream: string, known: Pick<Known, 'current' | 'released'>, to?: string) {
  const { current, released } = known;
  const no = (why: string) => new CliError(`${stream}: ${why}`, exitCodes.notFound);
  if (current === null) throw no('nothing is released: there is nothing to take back');
  const onto = to ?? formerRelease(known, current);
  if (onto === undefined) throw no(`${current} is the first release: there is none to return to`);
  if (onto === current || !released.some(({ build }) => build === onto))
    throw no(`${onto}: not a former release. \`treeline releases ${stream}\` lists them.`);
  return { build: current, onto };
}

const readGiven = (file: string) =>
  readFile(file, 'utf8').catch(() => {
    throw new CliError(`${file}: cannot be read`, exitCodes.usage);
  });
