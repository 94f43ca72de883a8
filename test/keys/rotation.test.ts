/** The drill of docs/operating.md, "Change the signing key": real keys, a real published repo, the steps of the chain. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeActivities } from '../../src/activities/compose.js';
import {
  initRepo,
  ostree,
  remoteCommands,
  signCommitCommand,
  summaryCommand,
} from '../../src/ostree/repo.js';
import { prepareActivities } from '../../src/activities/prepare.js';
import { signingHome } from '../../src/keys/gpg.js';
import { pullAsClient, type Place } from '../../src/publish/repo.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const ref = 'tiny/x86_64/standard';

describe('a change of the signing key', function () {
  let s: Scratch;
  let home: string;
  let repo: string;
  let web: WebServer;
  /** Commits, the oldest first. */
  const commits: string[] = [];

  const gpg = async (...args: string[]) =>
    (await s.step.run(['gpg', '--homedir', home, '--batch', '--no-tty', '--passphrase', '', ...args])).stdout;
  const file = (name: string) => s.at(`${name}.asc`);
  async function key(name: string, expire = 'never'): Promise<void> {
    await gpg('--quick-generate-key', name, 'ed25519', 'sign', expire);
    await gpg('--yes', '--armor', '--output', file(name), '--export', `=${name}`);
  }
  const printOf = async (name: string) =>
    /^fpr:+([0-9A-F]{40}):/m.exec(await gpg('--with-colons', '--list-keys', `=${name}`))?.[1] ?? '';

  /** A build, signed as the chain signs one. */
  async function publish(name: string): Promise<void> {
    const print = await printOf(name);
    await writeFile(s.at('tree/version'), String(commits.length));
    const parent = commits.at(-1);
    const { stdout } = await s.step.run(
      ostree(repo, 'commit', '-b', ref, ...(parent ? [`--parent=${parent}`] : []), s.at('tree')),
    );
    commits.push(stdout.trim());
    await s.step.run(signCommitCommand(repo, stdout.trim(), print, home));
    await s.step.run(summaryCommand(repo, print, home));
  }

  let runs = 0;
  async function host(keys: { signingKey: string; trustedKeys?: string[] }) {
    const args = { stream: 's', run: `r${++runs}`, step: 'parent', arch: 'x86_64' as const };
    const state = s.at('state', args.run);
    const store = new Store(state);
    const target = { location: s.at('www/buildlogs'), url: `${web.url}/buildlogs` };
    const stream = {
      ...{ name: 's', ref: 'tiny/${arch}/standard', composer: 'dnf', repos: [], freeSpace: 1 },
      ...{ trustedKeys: [], publish: { buildlogs: target }, ...keys },
    };
    await writeJson(join(store.runDir(args), 'stream.json'), stream);
    const of = { settings: readSettings({ TREELINE_STATE: state }), store };
    return {
      place: { target, repo, published: s.at('published') } satisfies Place,
      parent: () => runActivity(composeActivities(of).parent, args),
      preflight: () => runActivity(prepareActivities(of).preflight, args),
    };
  }

  before(async () => {
    s = await makeScratch('rotation');
    home = signingHome(s.folder);
    repo = s.at('www/buildlogs/repo');
    await Promise.all([
      mkdir(home, { recursive: true, mode: 0o700 }),
      mkdir(s.at('www/buildlogs'), { recursive: true }),
      mkdir(s.at('tree')),
    ]);
    await initRepo(s.step, repo);
    web = await serve({ root: s.at('www'), port: 0 });
    await key('old');
    await key('new');
    await publish('old');
  });
  after(async () => {
    await web.close();
    await execa('gpgconf', ['--homedir', home, '--kill', 'all']);
    await s.remove();
  });

  it('without the former key is said as what it is, at once', async () => {
    const { parent } = await host({ signingKey: file('new') });
    const id = (await printOf('old')).slice(-16);
    await assert.rejects(parent(), {
      type: 'KeyNotTrusted',
      nonRetryable: true,
      message: `the last published commit is signed with the key ${id}, which is neither the stream's \`signingKey\` nor one of its \`trustedKeys\``,
    });
  });

  it('with the former key in `trustedKeys` goes on, until a build is signed with the new one', async () => {
    const both = { signingKey: file('new'), trustedKeys: [file('old')] };
    assert.equal((await (await host(both)).parent())?.commit, commits[0]);
    await publish('new');
    const { place, parent } = await host(both);
    const keys = [both.signingKey, ...both.trustedKeys];
    await pullAsClient(s.step, place, { [ref]: commits[1]! }, { keys, work: s.at('client') });
    assert.equal((await parent())?.commit, commits[1]);
    // From now on the new key alone will do.
    assert.equal((await (await host({ signingKey: file('new') })).parent())?.commit, commits[1]);
  });

  it('reaches a machine that was installed before, if its tree had both keys', async () => {
    const machine = s.at('machine');
    await initRepo(s.step, machine);
    const url = `${web.url}/buildlogs/repo`;
    for (const command of remoteCommands(machine, 'only-old', url, [file('old')])) await s.step.run(command);
    const { exitCode } = await s.step.run(ostree(machine, 'pull', 'only-old', ref), { okCodes: [0, 1] });
    assert.equal(exitCode, 1);
    for (const command of remoteCommands(machine, 'both', url, [file('old'), file('new')]))
      await s.step.run(command);
    // With the history: the first commit is signed with the former key.
    await s.step.run(ostree(machine, 'pull', '--depth=-1', 'both', ref));
    const { stdout } = await s.step.run(ostree(machine, 'log', `both:${ref}`));
    assert.deepEqual(
      stdout.match(/^commit [0-9a-f]{64}$/gm)?.map((line) => line.slice(7)),
      [...commits].reverse(),
    );
  });

  it('to a key that expired is no damage; a changed summary is', async () => {
    await key('short', 'seconds=4');
    await publish('short');
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const { parent } = await host({ signingKey: file('new'), trustedKeys: [file('short')] });
    await assert.rejects(parent(), {
      type: 'KeyNotTrusted',
      message: /^the last published commit is signed with the key [0-9A-F]{16}, which expired on /,
    });
    await publish('new');
    const summary = join(repo, 'summary');
    const bytes = await readFile(summary);
    await rm(summary);
    await writeFile(summary, Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]));
    const damaged = await host({ signingKey: file('new') });
    await assert.rejects(damaged.parent(), {
      type: 'ParentInvalid',
      message: /^the last published commit does not verify: BAD signature from "new/,
    });
  });

  describe('is looked at before anything is made', () => {
    it('an expired signing subkey', async () => {
      await gpg('--quick-generate-key', 'subkey', 'ed25519', 'cert', 'never');
      await gpg('--quick-add-key', await printOf('subkey'), 'ed25519', 'sign', 'seconds=1');
      await gpg('--yes', '--armor', '--output', file('subkey'), '--export', '=subkey');
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const { preflight } = await host({ signingKey: file('subkey') });
      await assert.rejects(preflight(), {
        type: 'KeyMissing',
        nonRetryable: true,
        message:
          /subkey\.asc: the key [0-9A-F]{40} cannot sign: none of its keys can sign today: [0-9A-F]{16} expired on/,
      });
    });
    it('a key that expires within the run', async () => {
      await key('soon', 'seconds=3600');
      const { preflight } = await host({ signingKey: file('soon') });
      await assert.rejects(preflight(), {
        type: 'KeyMissing',
        message: /expires within this run: renew it$/,
      });
    });
    it('a former key whose file is missing', async () => {
      const { preflight } = await host({ signingKey: file('new'), trustedKeys: [s.at('none.asc')] });
      await assert.rejects(preflight(), {
        type: 'KeyMissing',
        message: /^trustedKeys: .*none\.asc: no such file$/,
      });
      assert.deepEqual(Object.keys(await (await host({ signingKey: file('new') })).preflight()), [
        'hostQueue',
      ]);
    });
  });
});
