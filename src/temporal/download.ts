/** usage: download.js FILE — fetches the Temporal CLI by the SDK's own downloader, where it can be neither found nor built. */
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { cp, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: download.js FILE');
const downloadDir = await mkdtemp(join(tmpdir(), 'treeline-'));
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir } },
});
await environment.teardown();
const [binary] = await readdir(downloadDir);
if (binary === undefined) throw new Error('the SDK downloaded nothing');
await cp(join(downloadDir, binary), file);
