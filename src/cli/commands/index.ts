import type { Command } from 'commander';
import type { Settings } from '../../settings.js';

export type AddCommand = (program: Command, settings: Settings) => void;

interface CommandFile {
  readonly names: readonly string[];
  readonly load: () => Promise<AddCommand>;
}

/** All sub-commands, in the order of `treeline help`. A file is loaded for its own commands only: each needs few of the packages. */
export const commandFiles: readonly CommandFile[] = [
  { names: ['init'], load: async () => (await import('./init.js')).addInit },
  { names: ['up', 'worker', 'serve'], load: async () => (await import('./servers.js')).addServers },
  { names: ['nightly'], load: async () => (await import('./nightly.js')).addNightly },
  { names: ['watch', 'cancel'], load: async () => (await import('./runs.js')).addRuns },
  { names: ['status'], load: async () => (await import('./status.js')).addStatus },
  { names: ['builds'], load: async () => (await import('./builds.js')).addBuilds },
  { names: ['show'], load: async () => (await import('./show.js')).addShow },
  { names: ['diff'], load: async () => (await import('./diff.js')).addDiff },
  { names: ['logs'], load: async () => (await import('./logs.js')).addLogs },
  { names: ['promote'], load: async () => (await import('./promote.js')).addPromote },
  {
    names: ['approve', 'reject', 'withdraw', 'decide', 'rollback', 'retry', 'submit', 'announce'],
    load: async () => (await import('./decide.js')).addDecide,
  },
  { names: ['report'], load: async () => (await import('./report.js')).addReport },
  { names: ['promotions'], load: async () => (await import('./promotions.js')).addPromotions },
  { names: ['releases'], load: async () => (await import('./releases.js')).addReleases },
  { names: ['security'], load: async () => (await import('./security.js')).addSecurity },
  { names: ['cadence'], load: async () => (await import('./cadence.js')).addCadence },
  { names: ['apply'], load: async () => (await import('./apply.js')).addApply },
  { names: ['validate'], load: async () => (await import('./validate.js')).addValidate },
  { names: ['doctor'], load: async () => (await import('./doctor.js')).addDoctor },
  { names: ['sample'], load: async () => (await import('./sample.js')).addSample },
  { names: ['reimzul-builder'], load: async () => (await import('./reimzul-builder.js')).addReimzulBuilder },
];

/** Adds what this command line asks for: all commands for help, and where there is no such command. */
export async function addCommands(
  program: Command,
  settings: Settings,
  argv: readonly string[] = [],
): Promise<void> {
  const name = argv.find((argument) => !argument.startsWith('-')) ?? '';
  const asked = commandFiles.filter(({ names }) => names.includes(name));
  const added = await Promise.all((asked.length > 0 ? asked : commandFiles).map(({ load }) => load()));
  for (const add of added) add(program, settings);
}
