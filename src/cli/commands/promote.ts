/** `promote STREAM BUILD`: proposes a build for release, as an approver or without a signature. */
import type { Command } from 'commander';
import type { Settings } from '../../settings.js';
import { loadStream } from '../../streams/load.js';
import {
  decide,
  send,
  unfixedOf,
  withDecisionOptions,
  withUnfixed,
  type DecisionOptions,
  type UnfixedOptions,
} from '../decision.js';
import { showPromotion } from '../preview.js';
import { showReports } from '../reports.js';

export function addPromote(program: Command, settings: Settings): void {
  const command = program
    .command('promote')
    .argument('<stream>')
    .argument('<build>', 'build id')
    .description('show what would be released, sign the promotion of a build and send it')
    .option('--propose', 'only propose it, without a signature: approvers decide');
  withUnfixed(withDecisionOptions(command)).action(
    async (
      stream: string,
      build: string,
      options: DecisionOptions & UnfixedOptions & { propose?: boolean },
    ) => {
      const { release } = await loadStream(settings, stream);
      if (options.propose) return send(settings, stream, 'promote', { build }, options);
      return decide(
        settings,
        stream,
        'promote',
        options,
        ({ current }) => ({ build, onto: current, ...unfixedOf(options) }),
        async (store, said) => {
          await showPromotion(store, stream, build, said.onto);
          await showReports(settings, store, stream, said);
          if (release?.mode === 'signed-rebuild')
            console.log(
              `With ${release.approvals.promote} approvals its signed rebuild begins; \`treeline decide\` then says what becomes of that.\n`,
            );
        },
      );
    },
  );
}
