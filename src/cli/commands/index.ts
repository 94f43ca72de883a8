import type { Command } from 'commander';
import type { Settings } from '../../settings.js';
import { addApply } from './apply.js';
import { addBuilds } from './builds.js';
import { addCadence } from './cadence.js';
import { addDecide } from './decide.js';
import { addDiff } from './diff.js';
import { addDoctor } from './doctor.js';
import { addInit } from './init.js';
import { addLogs } from './logs.js';
import { addNightly } from './nightly.js';
import { addPromote } from './promote.js';
import { addPromotions } from './promotions.js';
import { addReimzulBuilder } from './reimzul-builder.js';
import { addReleases } from './releases.js';
import { addReport } from './report.js';
import { addRuns } from './runs.js';
import { addSample } from './sample.js';
import { addSecurity } from './security.js';
import { addServers } from './servers.js';
import { addShow } from './show.js';
import { addStatus } from './status.js';
import { addValidate } from './validate.js';

export type AddCommand = (program: Command, settings: Settings) => void;

/** All sub-commands, in the order of `treeline help`. */
export const commands: readonly AddCommand[] = [
  addInit,
  addServers,
  addNightly,
  addRuns,
  addStatus,
  addBuilds,
  addShow,
  addDiff,
  addLogs,
  addPromote,
  addDecide,
  addReport,
  addPromotions,
  addReleases,
  addSecurity,
  addCadence,
  addApply,
  addValidate,
  addDoctor,
  addSample,
  addReimzulBuilder,
];
