/** Lists of any length as arguments of commands. */

/** Well below what Linux allows for all arguments together (2 MiB, a quarter of the stack's limit), with the environment. */
const mostBytes = 512 * 1024;

/** The list in as few parts as fit on a command line each; none for an empty list. */
export function* portions(list: readonly string[], limit = mostBytes): Generator<readonly string[]> {
  let part: string[] = [];
  let bytes = 0;
  for (const item of list) {
    // With its end and its pointer.
    const size = Buffer.byteLength(item) + 9;
    if (bytes + size > limit && part.length > 0) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(item);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
