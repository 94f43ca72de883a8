/** Package repos as stream files declare them: addresses with variables, and the credentials of those that ask for some. */
import { z } from 'zod';
import { plain, type Architecture } from './names.js';

/** Those of dnf's variables that the stream file decides; others would be the machine's. */
const variables = ['releasever', 'arch', 'basearch'] as const;
const variable = /\$(?:\{(\w+)\}|(\w+))/g;

const isKnown = (name: string) => (variables as readonly string[]).includes(name);
/** Those with braces are looked at with the stream file's own. */
const namesIn = (url: string) => [...url.matchAll(variable)].flatMap(([, , bare]) => bare ?? []);

/** A base URL. Its variables are filled in by `expandRepo` alone. */
export const repoUrl = (schemes: RegExp, error: string) =>
  plain
    .regex(schemes, { error, abort: true })
    .refine((url) => !/^\w+:\/\/[^/?#]*@/.test(url), {
      error: 'no user or password in a URL: name them in `credentials` of this repo',
    })
    .refine((url) => namesIn(url).every(isKnown), {
      error: 'only `$releasever`, `$arch` and `$basearch` are filled in',
    });

export const repoCredentials = z
  .strictObject({
    username: z
      .string()
      .regex(/^[^\s:\x00-\x1f]+$/, { error: 'no spaces and no `:`' })
      .describe('User name.'),
    passwordFile: plain
      .regex(/^\//, { error: 'write an absolute path, such as `${state}/keys/repo-password`' })
      .describe(
        'File with the password, on the hosts of the compose and control roles, readable by its owner only.',
      ),
  })
  .describe('For a repo that asks for user and password.');
export type RepoCredentials = z.infer<typeof repoCredentials>;

/** The repo as one architecture of the stream sees it: every reader of its URL gets this one. */
export const expandRepo = <R extends { readonly baseurl: string }>(
  repo: R,
  { arch, releasever }: { readonly arch: Architecture; readonly releasever: string },
): R => {
  const values: Readonly<Record<string, string>> = { releasever, arch, basearch: arch };
  const baseurl = repo.baseurl.replace(
    variable,
    (whole, braced?: string, bare?: string) => values[braced ?? bare ?? ''] ?? whole,
  );
  return { ...repo, baseurl };
};
