/** `report STREAM BUILD pass|fail`: what a person's test of a build has come to. */
import { Argument, type Command } from 'commander';
import { kindOf } from '../../domain/statement.js';
import { signedName } from '../../domain/stream.js';
import type { Settings } from '../../settings.js';
import { decide, withDecisionOptions, type DecisionOptions } from '../decision.js';
import { clean } from '../output.js';
import { commitsOf } from '../releases.js';

interface Options extends DecisionOptions {
  readonly note?: string;
}

export function addReport(program: Command, settings: Settings): void {
  withDecisionOptions(
    program
      .command('report')
      .argument('<stream>')
      .argument('<build>', 'id of the build that was tested: a nightly, or the signed one of an attempt')
      .addArgument(new Argument('<result>').choices(['pass', 'fail']))
      .description(`sign and send: ${kindOf('report').text.does}`)
      .option('--note <text>', 'what was tested; with `fail`: what failed'),
  ).action((stream: string, build: string, result: 'pass' | 'fail', options: Options) =>
    decide(
      settings,
      stream,
      'report',
      options,
      async (known, store) => {
        const isSigned = known.promotions.some(({ attempts = [] }) =>
          attempts.some((one) => one.build === build),
        );
        const commits = await commitsOf(store, isSigned ? signedName(stream) : stream, build, known);
        const { note } = options;
        return { build, onto: known.current, commits, result, ...(note === undefined ? {} : { note }) };
      },
      (_store, said) =>
        console.log(clean(`${stream} ${build}: ${said.result}${said.note ? `: ${said.note}` : ''}`)),
    ),
  );
}
