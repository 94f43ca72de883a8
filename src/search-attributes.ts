/** Search attributes of all chains, usable in the Temporal web UI's filter; `temporal/search-attributes.ts` registers them. */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

export const streamAttribute = defineSearchAttributeKey('TreelineStream', SearchAttributeType.KEYWORD);
export const buildAttribute = defineSearchAttributeKey('TreelineBuild', SearchAttributeType.KEYWORD);
export const phaseAttribute = defineSearchAttributeKey('TreelinePhase', SearchAttributeType.KEYWORD);
export const outcomeAttribute = defineSearchAttributeKey('TreelineOutcome', SearchAttributeType.KEYWORD);

export const searchAttributes = [streamAttribute, buildAttribute, phaseAttribute, outcomeAttribute];
