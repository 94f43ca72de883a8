/** Source RPMs that a person gives for a security release: copied into the build store, where builders find them. */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { writeWhole, type Store } from '../store/store.js';
import { CliError, exitCodes } from './output.js';

/** Bytes. */
const largest = 2 ** 30;
const magic = Buffer.from('edabeedb', 'hex');

/**
 * Copies each to `security/srpms/<sha256>/<name>.src.rpm`, whole or not at all. Answers `sha256` by file name. Idempotent. Throws
 * `CliError` for what is no source RPM.
 */
export async function giveSources(
  store: Store,
  stream: string,
  files: readonly string[],
): Promise<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const file of files) {
    const name = basename(file);
    const no = (why: string) => new CliError(`--srpm ${file}: ${why}`, exitCodes.usage);
    if (!/^[A-Za-z0-9][\w.+~^-]*\.src\.rpm$/.test(name))
      throw no('name it `<name>-<version>-<release>.src.rpm`');
    if (Object.hasOwn(given, name)) throw no('a file of this name was given already');
    const content = await readSource(file, no);
    const sha256 = createHash('sha256').update(content).digest('hex');
    await writeWhole(store.givenSource(stream, sha256, name), content);
    given[name] = sha256;
  }
  return given;
}

async function readSource(file: string, no: (why: string) => CliError): Promise<Buffer> {
  const content = await open(file).then(
    async (handle) => {
      try {
        const { size } = await handle.stat();
        if (size > largest) throw no('is larger than 1 GiB');
        return await readFile(handle);
      } finally {
        await handle.close();
      }
    },
    () => {
      throw no('cannot be read');
    },
  );
  // The lead: magic, version, and type 1 for a source package.
  if (!content.subarray(0, 4).equals(magic) || content.length < 96 || content.readUInt16BE(6) !== 1)
    throw no('is no source RPM');
  return content;
}
