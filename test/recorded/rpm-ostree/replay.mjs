// Stands in for rpm-ostree: plays a recording back. `plan.json` beside the program of that name on PATH says which one
// belongs to which kind of command; what it was called with is added to `calls.jsonl` there. `exitCodes` of the plan, by kind of command, go before the recorded ones.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const home = process.argv[2];
const argv = process.argv.slice(3);
const recorded = (name) => new URL(name, import.meta.url);
const option = (name) => argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);

const kinds = [['--help', 'help'], ['--print-only', 'print'], ['--dry-run', 'resolve'], ['--download-only', 'download']];
const kind = kinds.find(([flag]) => argv.includes(flag))?.[1] ?? 'commit';
const plan = JSON.parse(readFileSync(join(home, 'plan.json'), 'utf8'));
const { SOURCE_DATE_EPOCH, TMPDIR } = process.env;
appendFileSync(join(home, 'calls.jsonl'), `${JSON.stringify({ kind, argv, SOURCE_DATE_EPOCH, TMPDIR })}\n`);

const name = plan[kind];
const put = (path, suffix) => {
  if (path !== undefined && existsSync(recorded(`${name}${suffix}`))) writeFileSync(path, readFileSync(recorded(`${name}${suffix}`)));
};
put(option('ex-write-lockfile-to'), '.lockfile.json');
if (kind === 'commit' && existsSync(recorded(`${name}.composejson`))) {
  put(option('write-composejson-to'), '.composejson');
  const commit = JSON.parse(readFileSync(recorded(`${name}.composejson`), 'utf8'))['ostree-commit'];
  mkdirSync(join(option('repo'), 'objects', commit.slice(0, 2)), { recursive: true });
  writeFileSync(join(option('repo'), 'objects', commit.slice(0, 2), `${commit.slice(2)}.commit`), '');
  writeFileSync(option('write-commitid-to'), commit);
  writeFileSync(option('touch-if-changed'), '');
}
process.stdout.write(readFileSync(recorded(`${name}.stdout`)));
process.stderr.write(readFileSync(recorded(`${name}.stderr`)));
process.exitCode = plan.exitCodes?.[kind] ?? Number(readFileSync(recorded(`${name}.rc`), 'utf8'));
