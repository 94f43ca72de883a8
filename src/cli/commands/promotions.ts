/** `promotions STREAM`: what is proposed, waiting for whom, in work; vetoes; the last decisions. */
import type { Command } from 'commander';
import type { DecisionRecord, Promotion, StreamView } from '../../domain/promotion.js';
import { isOpen, treeline } from '../../domain/promotion.js';
import type { Settings } from '../../settings.js';
import { loadStream } from '../../streams/load.js';
import { connect } from '../../temporal/connect.js';
import { needView } from '../entity.js';
import { clean, paint, printJson, printTable } from '../output.js';

const historyShown = 10;
const minute = (time: string) => time.slice(0, 16).replace('T', ' ');

export function addPromotions(program: Command, settings: Settings): void {
  program
    .command('promotions')
    .argument('<stream>')
    .description('show what is proposed for release, who still has to approve, and the last decisions')
    .option('--json', 'print JSON')
    .action(async (stream: string, { json }: { json?: boolean }) => {
      await loadStream(settings, stream);
      const client = await connect(settings);
      try {
        const view = await needView(client, stream);
        if (json) printJson(view);
        else printView(view);
      } finally {
        await client.connection.close();
      }
    });
}

/** Prints the view of a stream's promotions for people. */
export function printView({ stream, current, promotions, inWork, vetoes, history }: StreamView): void {
  console.log(
    paint('bold', `${stream}: ${current === null ? 'nothing released yet' : `released ${current}`}`),
  );
  if (inWork !== null) console.log(`in work: ${inWork}`);
  const open = promotions.filter(({ phase }) => isOpen(phase));
  if (open.length === 0) console.log('nothing is proposed');
  else printTable(['BUILD', 'PHASE', 'APPROVALS', 'MISSING', 'EXPIRES', 'NOTE'], open.map(promotionRow));
  for (const { build, by } of vetoes) console.log(clean(`veto against ${build} by ${by}`));
  if (history.length === 0) return;
  console.log(`\n${paint('bold', 'Last decisions')}`);
  printTable(['TIME', 'BUILD', 'DECISION', 'BY', 'OUTCOME'], history.slice(0, historyShown).map(decisionRow));
}

const promotionRow = ({ build, phase, approvals, needed, missing, expires, note }: Promotion) => [
  build,
  phase,
  `${approvals.length} of ${needed}`,
  phase === 'proposed' ? missing.join(', ') : '',
  phase === 'proposed' ? minute(expires) : '',
  note?.split('\n')[0] ?? '',
];

const outcome = ({ by, fingerprint, reason }: DecisionRecord) =>
  reason ?? (by === treeline ? '' : fingerprint === undefined ? 'proposes only' : 'counts');

const decisionRow = (record: DecisionRecord) => [
  minute(record.at),
  record.build,
  record.decision,
  record.by,
  record.refused === undefined ? outcome(record) : `refused: ${record.refused.split('\n')[0] ?? ''}`,
];
