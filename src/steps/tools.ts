/** The programs that steps run, and the packages that bring them. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

export interface Tool {
  readonly command: string;
  /** Debian package. */
  readonly debian: string;
  /** CentOS and Fedora package. */
  readonly fedora: string;
}

export const tool = (command: string, debian: string, fedora = debian): Tool => ({ command, debian, fedora });

/** Full path of a command on a PATH, if it is there. */
export async function findTool(path: string, command: string): Promise<string | undefined> {
  for (const folder of path.split(':').filter(Boolean)) {
    const file = join(folder, command);
    const there = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there) return file;
  }
  return undefined;
}

export async function missingTools(path: string, tools: readonly Tool[]): Promise<Tool[]> {
  const found = await Promise.all(tools.map((t) => findTool(path, t.command)));
  return tools.filter((_, i) => found[i] === undefined);
}
