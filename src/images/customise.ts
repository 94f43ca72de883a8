/**
 * What an image adds to its deployment, declared as data: files under `/etc`, and one user. It goes into the
 * deployment's own `/etc` and into `/var`, never into the commit, so upgrades keep it as they keep any local change.
 */
import { appendFile, chmod, chown, lstat, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { inRoot, readInRoot } from '../steps/in-root.js';

const absolute = z
  .string()
  .regex(/^(\/[\w@+.-]+)+$/, 'an absolute path')
  .refine((path) => !path.includes('/..'), 'no `..`');

export const customisation = z.strictObject({
  /** Files that the commit must have for this image to work, such as `/usr/bin/sudo`. */
  requires: z.array(absolute).default([]),
  files: z
    .array(
      z.strictObject({
        path: absolute.startsWith('/etc/'),
        mode: z.int().min(0).max(0o777),
        text: z.string(),
      }),
    )
    .default([]),
  /** A user with a group of its own, no password, the next free id from 1000 and a home in `/var/home`. */
  user: z
    .strictObject({
      name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
      shell: absolute.default('/bin/bash'),
      authorizedKeys: z.array(z.string().regex(/^[^\n]+$/)),
    })
    .optional(),
});
export type Customisation = z.infer<typeof customisation>;
export type User = NonNullable<Customisation['user']>;

/** What a commit fails with that cannot be customised. */
const invalid = 'ImageFailed';

/**
 * Applies it to a deployment (its root folder) and to its operating system's `/var`.
 * Links of the commit lead where they lead in the guest. Throws ImageFailed when the commit lacks a required file or has the user already.
 */
export async function customise(deployment: string, osVar: string, spec: Customisation): Promise<void> {
  for (const path of spec.requires)
    if (!(await exists(await inRoot(deployment, path, { invalid }))))
      throw new Failure(
        'ImageFailed',
        `the commit has no ${path}, which this kind of image needs: add its package`,
      );
  if (spec.user) await addUser(deployment, osVar, spec.user);
  for (const file of spec.files) {
    const target = await inRoot(deployment, file.path, { follow: true, invalid });
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, file.text);
    await chmod(target, file.mode);
  }
}

async function addUser(deployment: string, osVar: string, user: User) {
  const entries = [...(await colonTable(deployment, 'passwd')), ...(await colonTable(deployment, 'group'))];
  if (entries.some(([name]) => name === user.name))
    throw new Failure('ImageFailed', `the commit has a user or group \`${user.name}\` already`);
  const taken = new Set(entries.map(([, , id]) => Number(id)));
  let id = 1000;
  while (taken.has(id)) id++;

  // Appending keeps owner, mode and labels of these files. The `*` is no password that can match, but not a locked
  // account; the empty second field is no password age, or the first login would ask for a new one.
  const append = (name: string, line: string) => appendLine(deployment, `etc/${name}`, line);
  await append('passwd', `${user.name}:x:${id}:${id}::/var/home/${user.name}:${user.shell}`);
  await append('group', `${user.name}:x:${id}:`);
  await append('shadow', `${user.name}:*::0:99999:7:::`);
  if (await exists(await inRoot(deployment, 'etc/gshadow', { invalid })))
    await append('gshadow', `${user.name}:!::`);

  const home = join(osVar, 'home', user.name);
  const ssh = join(home, '.ssh');
  await mkdir(ssh, { recursive: true });
  await writeFile(join(ssh, 'authorized_keys'), user.authorizedKeys.map((key) => `${key}\n`).join(''));
  const modes = { [home]: 0o700, [ssh]: 0o700, [join(ssh, 'authorized_keys')]: 0o600 };
  for (const [path, mode] of Object.entries(modes)) {
    await chown(path, id, id);
    await chmod(path, mode);
  }
}

async function colonTable(deployment: string, name: string): Promise<string[][]> {
  const text = await readInRoot(deployment, `etc/${name}`, invalid);
  if (text === undefined) throw new Failure('ImageFailed', `the commit has no /etc/${name}`);
  return text.split('\n').map((line) => line.split(':'));
}

async function appendLine(deployment: string, path: string, line: string) {
  const text = (await readInRoot(deployment, path, invalid)) ?? '';
  const file = await inRoot(deployment, path, { follow: true, invalid });
  await appendFile(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`, { mode: 0o640 });
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );
