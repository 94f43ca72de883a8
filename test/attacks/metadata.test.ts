/**
 * A malicious mirror, and a package that is not what the metadata says: real RPMs that are signed by the right key, in a real repo that is
 * served over HTTP, whose metadata says something else. Each is refused for good, and no file appears outside the run's folders.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gunzipSync, gzipSync } from 'node:zlib';
import type { ComposeInput } from '../../src/composers/composer.js';
import { dnfComposer } from '../../src/composers/dnf/index.js';
import { publishRepo } from '../../src/sample/publish.js';
import { buildRpm, ensureKey, signRpms } from '../../src/sample/rpm.js';
import { systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import type { Step } from '../../src/steps/step.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { startHttp, type Http } from '../support/http.js';

/** What the metadata of package `two` is changed to. */
interface Lie {
  readonly what: string;
  readonly from: string | RegExp;
  readonly to: string;
  readonly says: RegExp;
}

const name = (value: string): Lie => ({
  what: `the name ${JSON.stringify(value)}`,
  from: '<name>two</name>',
  to: `<name>${value}</name>`,
  says: /no package has the name/,
});
const version = (attributes: string): Lie => ({
  what: `the version ${attributes}`,
  from: /<version [^>]*>/,
  to: `<version ${attributes}/>`,
  says: /no package has the version/,
});
const path = (href: string): Lie => ({
  what: `the path ${JSON.stringify(href)}`,
  from: 'href="two-2.0-1.noarch.rpm"',
  to: `href="${href}"`,
  says: /no package has the path/,
});

const lies: readonly Lie[] = [
  ...['../two', '../../../../tmp/two', '/tmp/two', 'a/two', '--help', '-rf', '.', '..', '.two', 'a b', 'two;id', '$(id)', 'two\\', 'tw%2e', 'é', 'x'.repeat(300)].map(name), // prettier-ignore
  version('epoch="0" ver="../2" rel="1"'),
  version('epoch="0" ver="2.0" rel="../../1"'),
  version('epoch="0" ver="2 0" rel="1"'),
  version('epoch="0" ver="2.0" rel="1;id"'),
  ...['../two.rpm', 'a/../../two.rpm', '/etc/two.rpm', './../two.rpm', 'a//b.rpm', '../../../../../etc/passwd', 'two'].map(path), // prettier-ignore
  {
    what: 'another host',
    from: 'href="two-2.0-1.noarch.rpm"',
    to: 'xml:base="http://127.0.0.1:9/" href="two-2.0-1.noarch.rpm"',
    says: /two is at another place/,
  },
  {
    what: 'a file of this machine',
    from: 'href="two-2.0-1.noarch.rpm"',
    to: 'xml:base="file:///etc/" href="two-2.0-1.noarch.rpm"',
    says: /two is at another place/,
  },
  {
    what: 'a source package that leads elsewhere',
    from: /<rpm:sourcerpm>[^<]*</,
    to: '<rpm:sourcerpm>../../two-2.0-1.src.rpm<',
    says: /no package has the source package/,
  },
];

describe('attacks: repo metadata and what packages are', function () {
  this.timeout('5m');
  let s: Scratch;
  let step: Step;
  let http: Http;

  before(async () => {
    s = await makeScratch('attack-metadata');
    step = createStep({
      signal: new AbortController().signal,
      log: createWriteStream(s.at('log')),
      path: systemPath,
      home: s.at('.'),
    });
    http = await startHttp((req, res) => {
      const stream = createReadStream(s.at('served', decodeURIComponent(req.url ?? '')));
      stream.on('error', () => res.writeHead(404).end());
      stream.pipe(res);
    });
    await ensureKey(step, s.at('gnupg'), s.at('key.asc'));
    const built = [await build('one', '1.0', ['two']), await build('two', '1.0'), await build('two', '2.0')];
    await signRpms(step, s.at('gnupg'), built.map((file) => s.at('rpms', file))); // prettier-ignore
  });
  after(async () => {
    http.close();
    await s.remove();
  });

  async function build(name: string, version: string, requires: readonly string[] = []): Promise<string> {
    const root = s.at('build', name, 'root');
    await mkdir(join(root, 'usr/share'), { recursive: true });
    await writeFile(join(root, 'usr/share', name), version);
    const file = {
      path: `/usr/share/${name}`,
      type: 'file',
      mode: 0o644,
      user: 'root',
      group: 'root',
    } as const;
    const evr = { epoch: 0, version, release: '1' };
    const spec = { name, evr, arch: 'noarch', summary: name, requires, provides: [], posttrans: undefined };
    const files = [{ ...file, config: false }];
    return buildRpm(step, { root, spec: { ...spec, files } }, s.at('build', name), s.at('rpms'));
  }

  /** A run on a copy of the repo, whose RPMs are changed first, then its primary metadata. */
  async function run(
    {
      rpms,
      primary,
    }: { rpms?: (folder: string) => Promise<void>; primary?: (repodata: string) => Promise<string> },
    packages: readonly string[] = ['one'],
  ): Promise<ComposeInput> {
    await mkdir(s.at('served'), { recursive: true });
    const folder = await mkdtemp(s.at('served', 'repo-'));
    await step.run(['cp', '-a', '--', s.at('rpms') + '/.', folder]);
    await rpms?.(folder);
    await publishRepo(step, folder, s.at('gnupg'));
    if (primary) await announce(join(folder, 'repodata'), await primary(join(folder, 'repodata')));
    const work = await mkdtemp(s.at('run-'));
    for (const name of ['work', 'cache']) await mkdir(join(work, name));
    await writeFile(join(work, 'treefile.yaml'), `packages: ${JSON.stringify(packages)}\n`);
    const url = `${http.url}/${folder.slice(s.at('served').length + 1)}`;
    return {
      treefile: join(work, 'treefile.yaml'),
      arch: 'x86_64',
      releasever: '1',
      work: join(work, 'work'),
      cache: join(work, 'cache'),
      repo: join(work, 'repo'),
      repos: [{ id: 'mirror', baseurl: url, gpgKeys: [s.at('key.asc')], metadataSigned: false }],
    };
  }

  /** Makes `file` the primary metadata. */
  async function announce(repodata: string, file: string): Promise<void> {
    const digest = createHash('sha256');
    await pipeline(createReadStream(join(repodata, file)), digest);
    const repomd = await readFile(join(repodata, 'repomd.xml'), 'utf8');
    const data = `<data type="primary"><checksum type="sha256">${digest.digest('hex')}</checksum><location href="repodata/${file}"/></data>`;
    const changed = repomd.replace(/<data type="primary">[^]*?<\/data>/, data);
    assert.notEqual(changed, repomd);
    await writeFile(join(repodata, 'repomd.xml'), changed);
  }

  /** Changes what the metadata says of the package in `file`. */
  const edited = (rpm: string, from: Lie['from'], to: string) => async (repodata: string) => {
    const file = (await readdir(repodata)).find((one) => one.endsWith('primary.xml.gz')) ?? assert.fail();
    const text = gunzipSync(await readFile(join(repodata, file))).toString();
    const changed = text
      .split(/(?=<package )/)
      .map((one) => (one.includes(`href="${rpm}"`) ? one.replace(from, () => to) : one))
      .join('');
    assert.notEqual(changed, text, 'the metadata was changed');
    await writeFile(join(repodata, 'changed.xml.gz'), gzipSync(changed));
    return 'changed.xml.gz';
  };

  it('takes the packages of an honest mirror', async () => {
    const input = await run({});
    const lockfile = await dnfComposer.resolve(step, input);
    assert.equal(lockfile.packages.two?.evra, '2.0-1.noarch');
    await dnfComposer.download(step, input, lockfile);
  });

  for (const { what, from, to, says } of lies)
    it(`refuses metadata with ${what.slice(0, 60)}`, async () => {
      // What `one` needs is provided under whatever name.
      const input = await run({ primary: edited('two-2.0-1.noarch.rpm', from, to) });
      await assert.rejects(dnfComposer.resolve(step, input), { code: 'MetadataRefused', message: says });
      assert.deepEqual(await readdir(input.work), ['dnf'], 'nothing was made of it');
    });

  it('refuses a signed older package that the metadata calls the newer one', async () => {
    const change = edited(
      'two-1.0-1.noarch.rpm',
      /<version [^>]*>/,
      '<version epoch="0" ver="3.0" rel="1"/>',
    );
    const input = await run({ primary: change });
    const lockfile = await dnfComposer.resolve(step, input);
    assert.equal(lockfile.packages.two?.evra, '3.0-1.noarch');
    await assert.rejects(dnfComposer.download(step, input, lockfile), {
      code: 'PackageChecksum',
      message: /two-3\.0-1\.noarch is two-1\.0-1\.noarch/,
    });
  });

  for (const [field, to] of [
    ['epoch', '<version epoch="1" ver="1.0" rel="1"/>'],
    ['release', '<version epoch="0" ver="1.0" rel="9"/>'],
    ['name', '<name>three</name>'],
    ['arch', '<arch>x86_64</arch>'],
    ['sourcerpm', '<rpm:sourcerpm>three-1.0-1.src.rpm</rpm:sourcerpm>'],
  ] as const)
    it(`refuses a signed package of another ${field}`, async () => {
      const tag = /<([\w:]+)/.exec(to)?.[1] ?? '';
      const change = edited('one-1.0-1.noarch.rpm', new RegExp(`<${tag}[ >](?:[^/]*/>|[^]*?</${tag}>)`), to);
      const wanted = field === 'name' ? 'three' : 'one';
      const input = await run({ primary: change }, [wanted]);
      const lockfile = await dnfComposer.resolve(step, input);
      await assert.rejects(dnfComposer.download(step, input, lockfile), {
        code: 'PackageChecksum',
        message: /not the packages that the metadata names: \S+ is /,
      });
    });

  /** Package `two` with something endless in it, as gzip of `repeat` times the same 16 MiB. */
  const bomb = (before: string, block: string, repeat: number) => async (repodata: string) => {
    const piece = Buffer.from(block.repeat(Math.ceil(2 ** 24 / block.length)));
    const start = `<?xml version="1.0"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1"><package type="rpm"><name>two</name>${before}`;
    const pieces = function* () {
      yield Buffer.from(start);
      for (let i = 0; i < repeat; i++) yield piece;
    };
    await pipeline(Readable.from(pieces()), createGzip({ level: 1 }), createWriteStream(join(repodata, 'bomb.xml.gz'))); // prettier-ignore
    return 'bomb.xml.gz';
  };

  it('ends a text that unpacks to gigabytes, with one clear error', async () => {
    const input = await run({ primary: bomb('<summary>', 'x', 320) });
    await assert.rejects(dnfComposer.resolve(step, input), {
      code: 'MetadataRefused',
      message: /takes more memory, time or disk than it may: python3/,
    });
  });

  it('ends entities that expand to gigabytes', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `<!ENTITY a${i + 1} "${`&a${i};`.repeat(10)}">`);
    const doctype = `<!DOCTYPE metadata [<!ENTITY a0 "0123456789">${levels.join('')}]>`;
    const input = await run({
      primary: async (repodata) => {
        const text = `<?xml version="1.0"?>${doctype}<metadata xmlns="http://linux.duke.edu/metadata/common" packages="1"><package type="rpm"><name>&a12;</name></package></metadata>`;
        await writeFile(join(repodata, 'laughs.xml.gz'), gzipSync(text));
        return 'laughs.xml.gz';
      },
    });
    await assert.rejects(dnfComposer.resolve(step, input), {
      code: 'MetadataRefused',
      message: /the repos' metadata cannot be read/,
    });
  });
});
