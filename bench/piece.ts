/**
 * The parts of the 2015 script that are TypeScript in the workflow: the very same functions, one per process.
 *
 *     piece.js layout TREE
 *     piece.js image KIND REPO COMMIT WORK OUT
 *     piece.js boot KIND COMMIT WORK OUT
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { resetMachine, toOstreeLayout } from '../src/composers/dnf/layout.js';
import { refOf } from '../src/domain/stream.js';
import { bootTest } from '../src/images/boot.js';
import { virtualizationOf } from '../src/images/virtualization.js';
import { imageKinds } from '../src/images/index.js';
import { readSettings } from '../src/settings.js';
import { createStep } from '../src/steps/run.js';
import { loadStream } from '../src/streams/load.js';
import { arch, streamName } from './instance.js';

const settings = readSettings();
const step = createStep({
  signal: new AbortController().signal,
  log: process.stderr,
  path: settings.path,
  home: process.env.HOME ?? '/',
});

async function layout(tree: string): Promise<void> {
  await resetMachine(tree);
  await toOstreeLayout(step, tree, { tmpIsDir: true });
}

async function image(kind: string, repo: string, commit: string, work: string, out: string): Promise<void> {
  const stream = await loadStream(settings, streamName);
  const declared = stream.images.find((one) => one.kind === kind);
  const builder = imageKinds[kind];
  if (!declared || !builder) throw new Error(`${streamName} has no image ${kind}`);
  await mkdir(work, { recursive: true });
  const { osname } = stream;
  const of = { arch, repo, commit, ref: refOf(stream, arch), remote: osname, osname, size: declared.size };
  const input = { ...of, name: `${streamName}-${kind}.${arch}`, work, out };
  await builder.build(step, input, builder.options.parse(declared.options));
}

async function boot(kind: string, commit: string, work: string, out: string): Promise<void> {
  const { bootTest: test } = await loadStream(settings, streamName);
  const file = (await readdir(out)).find((name) => name.startsWith(`${streamName}-${kind}.`));
  const builder = imageKinds[kind];
  if (file === undefined || !builder) throw new Error(`there is no image ${kind}`);
  await mkdir(work, { recursive: true });
  const disk = await builder.bootDisk(step, join(out, file), work);
  const { passed, reason } = await bootTest(step, {
    disk: disk.path,
    format: disk.format,
    arch,
    commit,
    test,
    console: join(work, 'console.log'),
    virtualization: virtualizationOf(settings),
    work,
  });
  if (!passed) throw new Error(`${kind}: ${reason ?? 'did not boot'}`);
}

const [action = '', ...args] = process.argv.slice(2);
const [a = '', b = '', c = '', d = '', e = ''] = args;
if (action === 'layout') await layout(a);
else if (action === 'image') await image(a, b, c, d, e);
else if (action === 'boot') await boot(a, b, c, d);
else throw new Error(`${action}: not one of layout, image, boot`);
