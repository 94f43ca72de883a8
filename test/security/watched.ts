/** A stream with a release, and package repos with advisories as createrepo_c and modifyrepo_c write them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Host } from '../../src/host.js';
import { watchActivities, type WatchResult } from '../../src/activities/advisory-watch.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import type { Considered } from '../../src/domain/security.js';
import { instanceKeyFile, makeInstanceKey } from '../../src/keys/gpg.js';
import { readWatch } from '../../src/store/watch-record.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const stream = 'tiny';
export const release = '20261123_01';
export const look = { stream, run: 'stream', step: 'look-for-advisories' };

/** Packages by name: `evra`, or that and the file name of the source RPM. */
export type Packages = Readonly<Record<string, string | readonly [string, string]>>;
export const lockfileWith = (packages: Packages): Lockfile => ({
  metadata: { generated: '2026-11-23T00:00:00Z', rpmmd_repos: {} },
  packages: Object.fromEntries(
    Object.entries(packages).map(([name, of]) => {
      const [evra, sourcerpm] = typeof of === 'string' ? [of] : of;
      return [name, { evra, digest: `sha256:${'1'.repeat(64)}`, ...(sourcerpm ? { sourcerpm } : {}) }];
    }),
  ),
});

/** `evr`: `[epoch:]version-release`. */
export interface Update {
  readonly id: string;
  readonly fixes: readonly (readonly [name: string, evr: string, arch?: string])[];
  /** Module stream of its packages, such as `nodejs:18`. */
  readonly module?: string;
  readonly status?: string;
  readonly severity?: string;
  readonly type?: string;
  readonly title?: string;
  readonly issued?: string;
}

export const updateinfo = (updates: readonly Update[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<updates>${updates
    .map(
      ({
        id,
        fixes,
        severity = 'Important',
        type = 'security',
        title = `About ${id}`,
        issued = '2026-11-20 08:00:00',
        module,
        status = 'stable',
      }) => {
        const packages = fixes.map(([name, evr, arch = 'x86_64']) => {
          const [, epoch = '0', version, rel] = /^(?:(\d+):)?(.+)-([^-]+)$/.exec(evr) ?? [];
          return `<package name="${name}" version="${version}" release="${rel}" epoch="${epoch}" arch="${arch}"><filename>x.rpm</filename></package>`;
        });
        const [of, its] = module?.split(':') ?? [];
        const modular = module
          ? `<module name="${of}" stream="${its}" version="8" context="c" arch="x86_64"/>`
          : '';
        return `<update from="x" status="${status}" type="${type}" version="1"><id>${id}</id><title>${title}</title><issued date="${issued}"/>
<severity>${severity}</severity><references><reference href="https://example.org/1" id="1" title="CVE-2026-0001 in it" type="bugzilla"/></references>
<pkglist><collection short="x"><name>x</name>${modular}${packages.join('\n')}</collection></pkglist></update>`;
      },
    )
    .join('\n')}</updates>`;

export class Watched {
  private constructor(
    readonly s: Scratch,
    readonly host: Host,
  ) {}

  static async make(): Promise<Watched> {
    const s = await makeScratch('watched');
    const settings = readSettings({ TREELINE_STATE: s.at('state'), TREELINE_STREAMS: s.at('streams') });
    await makeInstanceKey(s.step, settings.state);
    return new Watched(s, { settings, store: new Store(settings.state) });
  }

  /** Declares the stream with these repos (id to address); `security` and `signed` as a test wants them. */
  async declare(
    repos: Readonly<Record<string, string>>,
    security: object = {},
    { signed = false, architectures = ['x86_64'] }: { signed?: boolean; architectures?: string[] } = {},
  ): Promise<void> {
    const key = instanceKeyFile(this.host.settings.state);
    const place = { location: this.s.at('www/tiny'), url: 'https://example.org/tiny' };
    const rebuild = {
      sources: [{ id: 'sources', baseurl: 'https://example.org/sources', gpgKeys: [key] }],
      rpmKey: key,
      reimzul: {
        ...{ beanstalk: '127.0.0.1:1', target: 'tiny', disttag: '.tiny', incoming: '/none' },
        results: 'https://example.org/results',
      },
    };
    const declared = {
      ...{ name: stream, title: 'Tiny', treefile: 'treefile.yaml', ref: 'tiny/${arch}/standard' },
      ...{ osname: 'tiny', releasever: '1', composer: 'dnf', signingKey: key, architectures },
      repos: Object.entries(repos).map(([id, baseurl]) => ({ id, baseurl, gpgKeys: [key] })),
      publish: signed
        ? { buildlogs: place, testing: place, mirror: place, cloud: place }
        : { buildlogs: place, release: place },
      release: {
        ...(signed ? { mode: 'signed-rebuild', rebuild } : {}),
        approvers: [{ name: 'Ada', key }],
        approvals: { promote: 1, release: 1, accept: 1 },
        security,
      },
    };
    await this.s.write('streams/tiny/stream.yaml', stringify(declared));
  }

  /** These packages are released. */
  async release(packages: Packages, build = release, architectures = ['x86_64']): Promise<void> {
    const { store } = this.host;
    for (const arch of architectures)
      await writeJson(join(store.releaseDir(stream, build), arch, 'lockfile.json'), lockfileWith(packages));
    const entry = {
      ...{ version: build, metadata: 'https://example.org/release.json', commits: [] },
      treeline: {
        ...{ released: '2026-11-23T12:00:00Z', ref: 'tiny/x86_64/standard', page: 'https://example.org/' },
        ...{ former: null, approvers: ['Ada'] },
      },
    };
    await writeJson(join(store.releasePublished(stream), 'releases.json'), {
      ...{ stream, metadata: { 'last-modified': '2026-11-23T12:00:00Z' }, releases: [entry] },
    });
  }

  /** The address of a repo with this updateinfo, or with this text in its place. */
  async repo(
    name: string,
    updates?: readonly Update[] | string | Buffer,
    ...options: string[]
  ): Promise<string> {
    const folder = this.s.at('www', name);
    await mkdir(folder, { recursive: true });
    await this.s.step.run(['createrepo_c', '--quiet', folder]);
    if (updates !== undefined) {
      const file = this.s.at(`www/${name}-updateinfo.xml`);
      await writeFile(file, Array.isArray(updates) ? updateinfo(updates as Update[]) : (updates as string));
      await this.s.step.run(['modifyrepo_c', '--mdtype=updateinfo', ...options, file, `${folder}/repodata`]);
    }
    return `file://${folder}`;
  }

  readonly look = (): Promise<WatchResult> => runActivity(watchActivities(this.host).lookForAdvisories, look);

  /** Looks, and answers what was considered by id, and what could not be read. */
  async judge(): Promise<{ of: Record<string, Considered>; failed: readonly string[]; found: string[] }> {
    const { found, failed } = await this.look();
    const record = await readWatch(this.host.store, stream);
    return {
      of: Object.fromEntries((record?.considered ?? []).map((one) => [one.id, one])),
      failed,
      found: found.map(({ advisory }) => advisory.id),
    };
  }

  #documents = 0;
  /** The judgement of one look at these documents alone: JSON, or a text as it is. */
  async judgeDocuments(documents: readonly unknown[], security: object = {}) {
    const files: string[] = [];
    for (const document of documents) {
      const name = `advisories-${++this.#documents}.json`;
      const text = typeof document === 'string' ? document : JSON.stringify(document);
      await this.s.write(`streams/tiny/${name}`, text);
      files.push(name);
    }
    await this.declare({ none: await this.repo('none') }, { ...security, advisories: files });
    return this.judge();
  }

  readonly remove = () => this.s.remove();
}
