/** Users and groups keep their numbers from commit to commit: rpm-ostree's `preserve-passwd`, `check-passwd` and their like. */
import { Failure } from '../../domain/failures.js';
import { readInRoot } from '../../steps/in-root.js';
import type { Argv, Step } from '../../steps/step.js';
import type { AccountCheck, Treefile } from './treefile.js';

/** Texts of account files. */
export interface AccountFiles {
  readonly passwd?: string;
  readonly group?: string;
  readonly shadow?: string;
  readonly gshadow?: string;
}

const files = ['passwd', 'group', 'shadow', 'gshadow'] as const;
/** rpm-ostree has accounts in both; those of /usr/etc count first. */
const folders = ['/usr/etc', '/usr/lib'];

export const accountsCommand = (repo: string, commit: string, path: string): Argv => [
  'ostree',
  `--repo=${repo}`,
  'cat',
  commit,
  path,
];

/** The accounts of a commit. */
export async function accountsOf(step: Step, repo: string, commit: string): Promise<AccountFiles> {
  const texts: Partial<Record<(typeof files)[number], string>> = {};
  for (const file of files) {
    const found: string[] = [];
    for (const folder of folders) {
      const command = accountsCommand(repo, commit, `${folder}/${file}`);
      const { stdout, exitCode } = await step.run(command, { okCodes: [0, 1], capture: 'all' });
      if (exitCode === 0) found.push(stdout);
    }
    texts[file] = uniqueLines(found.join('\n'));
  }
  return texts;
}

/** The first line of each account. */
function uniqueLines(text: string): string {
  const lines = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [name = ''] = line.split(':');
    if (name !== '' && !lines.has(name)) lines.set(name, line);
  }
  return [...lines.values()].map((line) => `${line}\n`).join('');
}

/** The accounts that are put into the tree before the first scriptlet runs. */
export function keptAccounts(
  { preservePasswd, checkPasswd, checkGroups }: Treefile,
  parent: AccountFiles,
): AccountFiles {
  if (!preservePasswd) return {};
  if (checkPasswd.type !== 'file' && checkGroups.type !== 'file') return parent;
  if (checkPasswd.type === 'file' && checkGroups.type === 'file')
    return { passwd: checkPasswd.text, group: checkGroups.text };
  throw new Failure(
    'StreamInvalid',
    'treefile: `check-passwd` and `check-groups`: with `preserve-passwd` both must have `type: file`, or neither',
  );
}

/** A user's number and its group's, or a group's number. */
type Numbers = ReadonlyMap<string, string>;

/** `tree`: with `etc` where it is installed. Fails with ComposeFailed, all accounts that are missing or have another number named. */
export async function checkAccounts(tree: string, treefile: Treefile, parent: AccountFiles): Promise<void> {
  const problems = [
    ...compare(
      'user',
      wantedNumbers(treefile.checkPasswd, parent.passwd, userNumbers),
      userNumbers(await textOf(tree, 'passwd')),
      { ignored: treefile.ignoreRemovedUsers, key: 'ignore-removed-users' },
    ),
    ...compare(
      'group',
      wantedNumbers(treefile.checkGroups, parent.group, groupNumbers),
      groupNumbers(await textOf(tree, 'group')),
      { ignored: treefile.ignoreRemovedGroups, key: 'ignore-removed-groups' },
    ),
  ];
  if (problems.length > 0) throw new Failure('ComposeFailed', problems.join('\n'));
}

/** Of both files of a tree that may have accounts in /usr/lib too. */
const textOf = async (tree: string, file: string): Promise<string> =>
  (await Promise.all(['etc', 'usr/lib'].map((folder) => readInRoot(tree, `${folder}/${file}`)))).join('\n');

function wantedNumbers(
  check: AccountCheck,
  parent: string | undefined,
  read: (text: string) => Numbers,
): Numbers {
  switch (check.type) {
    case 'none':
      return new Map();
    case 'previous':
      return read(parent ?? '');
    case 'file':
      return read(check.text);
    case 'data':
      return check.numbers;
  }
}

const fieldsOf = (text: string) =>
  uniqueLines(text)
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(':'));

const userNumbers = (text: string): Numbers =>
  new Map(fieldsOf(text).map(([name = '', , uid = '', gid = '']) => [name, `${uid}:${gid}`]));
const groupNumbers = (text: string): Numbers =>
  new Map(fieldsOf(text).map(([name = '', , gid = '']) => [name, gid]));

function compare(
  kind: 'user' | 'group',
  wanted: Numbers,
  found: Numbers,
  { ignored, key }: { ignored: readonly string[]; key: string },
): string[] {
  return [...wanted].flatMap(([name, number]) => {
    const is = found.get(name);
    if (is === undefined)
      return ignored.includes(name) || ignored.includes('*')
        ? []
        : [`${kind} ${name} (${number}) is missing: name it in \`${key}\` if that is meant`];
    return is === number
      ? []
      : [
          `${kind} ${name} has the number ${is} instead of ${number}: files on machines belong to the number. Set \`preserve-passwd: true\`, or give it a fixed number`,
        ];
  });
}
