/** Publish targets: a folder, a real rsync daemon, a real sshd. */
import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Target } from '../../src/domain/stream.js';
import { readPlaced } from '../../src/publish/readers.js';
import { pushTree } from '../../src/publish/push-tree.js';
import { publishTo } from '../../src/publish/targets/index.js';
import type { How } from '../../src/publish/targets/target.js';
import { startHttp } from '../support/http.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { freePort } from '../support/ports.js';
import { fails, startRsyncDaemon, startSshd, type Server, type SshServer } from '../support/servers.js';

const url = 'http://127.0.0.1:1';
describe('the commands of a target', () => {
  it('name folder, daemon and ssh host, and end options before the paths', () => {
    const command = (location: string, more: Partial<Target> = {}) =>
      publishTo({ location, url, ...more }).commands({ folder: '/a' }, 'repo', 'changed')[0] ?? [];
    const how = [
      ...['--mkpath', '--keep-dirlinks', '--chmod=D0755,F0644', '--stats'],
      ...['--recursive', '--times', '--delay-updates', '--', '/a/'],
    ];
    assert.deepEqual(command('/srv/x/'), ['rsync', ...how, '/srv/x/repo/']);
    assert.equal(command('rsync://h:8730/m/p').at(-1), 'rsync://h:8730/m/p/repo/');
    assert.deepEqual(command('ssh://u@h:2222/srv', { identityFile: '/k', knownHostsFile: '/h' }), [
      ...['rsync', '-e', 'ssh -oBatchMode=yes -p2222 -i/k -oUserKnownHostsFile=/h'],
      ...[...how, 'u@h:/srv/repo/'],
    ]);
    assert.deepEqual(command('ssh://h/srv').slice(1, 3), ['-e', 'ssh -oBatchMode=yes']);
    assert.equal(command('ssh://h/srv').at(-1), 'h:/srv/repo/');
    const file = publishTo({ location: '/srv', url }).commands({ file: '-b' }, 'b.json', 'compared')[0];
    assert.deepEqual(file?.slice(-3), ['--', '-b', '/srv/b.json']);
    assert.throws(() => publishTo({ location: 's3://bucket', url }), /no kind of target serves/);
  });
});

describe('publish targets', function () {
  let s: Scratch;
  let daemon: Server;
  let ssh: SshServer;
  const targets: Record<string, () => Target> = {
    'a folder': () => ({ location: s.at('folder target/deep'), url }),
    'an rsync daemon': () => ({ location: `rsync://127.0.0.1:${daemon.port}/module/deep`, url }),
    'an ssh host': () => ({
      location: `ssh://root@127.0.0.1:${ssh.port}${s.at('ssh-target/deep')}`,
      url,
      identityFile: ssh.identityFile,
      knownHostsFile: ssh.knownHostsFile,
    }),
  };
  const places: Record<string, string> = {
    'a folder': 'folder target/deep',
    'an rsync daemon': 'module/deep',
    'an ssh host': 'ssh-target/deep',
  };

  before(async () => {
    s = await makeScratch('target');
    await mkdir(s.at('module'));
    await mkdir(s.at('readonly'));
    const full = `max connections = -1\nlock file = ${s.at('lock')}\n`;
    const module = (name: string, more: string) =>
      `[${name}]\npath = ${s.at(name === 'readonly' ? name : 'module')}\n${more}`;
    const config = [
      module('module', 'read only = false\n'),
      module('readonly', 'read only = true\n'),
      module('busy', full),
      module('secret', `auth users = someone\nsecrets file = /dev/null\n`),
    ];
    daemon = await startRsyncDaemon(s.folder, config.join(''));
    ssh = await startSshd(s);
  });
  after(async () => {
    await daemon.close();
    await ssh.close();
    await s.remove();
  });

  for (const [name, target] of Object.entries(targets))
    it(`${name} gets files, keeps what is there, and is reached`, async () => {
      await publishTo(target()).reach(s.step);
      await s.write('from/sub/one file', 'first');
      const copy = (how: How, only?: string[]) =>
        publishTo(target()).putFolder(s.step, s.at('from'), 'new/folder', how, only ? { only } : {});
      assert.equal((await copy('new', [])).files, 0);
      const first = await copy('new', ['sub/one file']);
      assert.deepEqual([first.files, first.newBytes], [1, 5]);
      assert.ok(first.sentBytes > 5);
      const there = () => readFile(s.at(places[name]!, 'new/folder/sub/one file'), 'utf8');
      assert.equal(await there(), 'first');
      await s.write('from/sub/one file', 'changed');
      assert.equal((await copy('new')).files, 0);
      assert.equal(await there(), 'first');
      assert.deepEqual(await publishTo(target()).differing(s.step, s.at('from'), 'new/folder'), [
        'sub/one file',
      ]);
      await copy('compared');
      assert.deepEqual(await publishTo(target()).differing(s.step, s.at('from'), 'new/folder'), []);
      assert.equal(await there(), 'changed');
      // Nothing is deleted unless asked for.
      await s.write('other/file', '');
      await publishTo(target()).putFolder(s.step, s.at('other'), 'new/folder', 'changed');
      assert.equal(await there(), 'changed');
      // What is replaced is just what it is here, and nothing beside it is touched.
      await s.write('own/sub/two', '2');
      await s.write('own/beside', '');
      await publishTo(target()).replace(s.step, s.at('own'), 'new/folder', ['sub', 'file']);
      const found = await readdir(s.at(places[name]!, 'new/folder'), { recursive: true });
      assert.deepEqual(found.sort(), ['sub', 'sub/two']);
      await publishTo(target()).remove(s.step, 'new', ['folder', 'none']);
      assert.deepEqual(await readdir(s.at(places[name]!, 'new')), []);
      await rm(s.at('own'), { recursive: true });
      await publishTo(target()).reach(s.step);
    });

  for (const [name, target] of Object.entries(targets)) {
    const place = (...parts: string[]) => s.at(places[name]!, ...parts);
    const modeOf = async (...parts: string[]) => ((await stat(place(...parts))).mode & 0o7777).toString(8);

    it(`${name} gets files for all to read, whatever their modes here, and keeps the modes of its own folders`, async () => {
      const from = await s.write('private/shared/deep/file', 'x').then(() => s.at('private'));
      for (const path of ['', 'shared', 'shared/deep']) await chmod(join(from, path), 0o700);
      await chmod(join(from, 'shared/deep/file'), 0o600);
      // Others of a group write there too.
      await mkdir(place('shared'), { recursive: true });
      await chmod(place('shared'), 0o2775);
      await publishTo(target()).putFolder(s.step, from, '', 'changed');
      assert.equal(await modeOf('shared'), '2775');
      assert.match(await modeOf('shared/deep'), /^2?755$/);
      assert.equal(await modeOf('shared/deep/file'), '644');
      // A file that replaces another one keeps that one's.
      await s.write('private/shared/deep/file', 'y');
      await publishTo(target()).putFolder(s.step, from, '', 'compared');
      assert.equal(await modeOf('shared/deep/file'), '644');
      await rm(place('shared'), { recursive: true });
    });

    it(`${name} keeps links to folders, and is refused with one that leads nowhere`, async () => {
      const disk = s.at(`disk of ${name}`);
      await mkdir(place(), { recursive: true });
      await mkdir(disk);
      await symlink(relative(place(), disk), place('builds'));
      await s.write('tree/builds/1/index.html', 'page');
      await s.write('tree/index.html', 'home');
      const refused = fails('PublishRefused', /symbolic links.*: mount the disk there/);
      const kept = async () => (await lstat(place('builds'))).isSymbolicLink();
      // A daemon of rsync 3.5 follows no link at all.
      const follows = name !== 'an rsync daemon';
      const pushing = pushTree(s.step, target(), s.at('tree'));
      if (follows) await pushing;
      else await assert.rejects(pushing, refused);
      assert.ok(await kept());
      if (follows) {
        await publishTo(target()).putFolder(s.step, s.at('tree/builds/1'), 'builds/2', 'changed');
        assert.equal(await readFile(place('index.html'), 'utf8'), 'home');
        for (const build of ['1', '2'])
          assert.equal(await readFile(join(disk, build, 'index.html'), 'utf8'), 'page');
        assert.equal((await readPlaced(s.step, target(), 'builds/1/index.html'))?.content.toString(), 'page');
        await publishTo(target()).remove(s.step, 'builds', ['1']);
        assert.deepEqual(await readdir(disk), ['2']);
      }
      // Within a transfer some rsyncs follow links and some do not; none may replace one.
      await publishTo(target()).putFolder(s.step, s.at('tree'), '', 'changed').catch(refused);
      assert.ok(await kept());
      if (follows) await publishTo(target()).reach(s.step);
      else await assert.rejects(publishTo(target()).reach(s.step), refused);
      await rename(disk, `${disk} away`);
      await assert.rejects(
        publishTo(target()).reach(s.step),
        follows
          ? fails('PublishRefused', /\/builds: is a link that leads nowhere: is its disk mounted\?$/)
          : refused,
      );
      await rm(place('builds'));
    });

    it(`${name} is read past readers' caches: what is there, and that nothing is`, async () => {
      await s.write('from/where is it', 'content');
      await publishTo(target()).putFile(s.step, s.at('from/where is it'), 'a/where is it', 'changed');
      const placed = await readPlaced(s.step, target(), 'a/where is it');
      assert.equal(placed?.content.toString(), 'content');
      const age = Date.now() - Number(placed.time);
      assert.ok(age >= 0 && age < 60_000, String(age));
      for (const path of ['a/none', 'none/none'])
        assert.equal(await readPlaced(s.step, target(), path), undefined);
    });
  }

  it('that may only be written to are read as readers do, past their caches', async () => {
    const asked: unknown[] = [];
    const server = await startHttp((req, res) => {
      asked.push([req.url, req.headers['cache-control']]);
      res.writeHead(req.url === '/summary' ? 200 : 404).end('by http');
    });
    const target = { location: `rsync://127.0.0.1:${daemon.port}/secret`, url: server.url };
    assert.equal((await readPlaced(s.step, target, 'summary'))?.content.toString(), 'by http');
    assert.equal(await readPlaced(s.step, target, 'none'), undefined);
    assert.deepEqual(asked, [
      ['/summary', 'no-cache'],
      ['/none', 'no-cache'],
    ]);
    server.close();
  });

  it('with something else in the way are final, and keep it', async () => {
    const at = (path: string): Target => ({ location: s.at('ways', path), url });
    await s.write('ways/file', 'theirs');
    await symlink('nowhere/at/all', s.at('ways/dangling'));
    await assert.rejects(
      publishTo(at('file')).reach(s.step),
      fails('PublishRefused', /ways\/file: is not a folder/),
    );
    await assert.rejects(
      publishTo(at('file/x')).reach(s.step),
      fails('PublishRefused', /file\/x: is not a folder/),
    );
    await assert.rejects(
      publishTo(at('dangling')).reach(s.step),
      fails('PublishRefused', /ways\/dangling: .*leads nowhere/),
    );
    // rsync would put a file with the name of a folder into that folder.
    await s.write('ways/here/repo/summary/theirs', '');
    await s.write('own/summary', 'ours');
    await assert.rejects(
      publishTo(at('here')).putFolder(s.step, s.at('own'), 'repo', 'changed'),
      fails('PublishConflict', /here: .*summary/),
    );
    assert.equal(await readFile(s.at('ways/file'), 'utf8'), 'theirs');
  });

  it('that do not answer are unreachable, and tried again', async () => {
    const port = await freePort();
    const away = [
      { location: `rsync://127.0.0.1:${port}/module`, url },
      { location: `ssh://root@127.0.0.1:${port}/srv`, url },
      { location: 'ssh://root@no-such-host.invalid/srv', url },
      { location: `rsync://127.0.0.1:${daemon.port}/busy`, url },
    ];
    for (const target of away) {
      await assert.rejects(
        publishTo(target).reach(s.step),
        fails('TargetUnreachable', new RegExp(`^${target.location}: `)),
      );
      await assert.rejects(
        publishTo(target).putFolder(s.step, s.at('from'), 'x', 'changed'),
        fails('TargetUnreachable', /./),
      );
    }
  });

  it('that refuse us are final: unknown module, no password, read only, wrong key, unknown host key', async () => {
    const stranger = s.at('stranger');
    await s.step.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    const host = targets['an ssh host']!();
    const at = (module: string) => ({ location: `rsync://127.0.0.1:${daemon.port}/${module}`, url });
    const refusing = [
      at('nothing'),
      at('secret'),
      { ...host, identityFile: stranger },
      { ...host, knownHostsFile: await s.write('no-hosts', '') },
    ];
    for (const target of refusing) {
      await assert.rejects(
        publishTo(target).reach(s.step),
        fails(
          'PublishRefused',
          new RegExp(
            `^${target.location}: .*(nknown module|auth failed|denied|verification failed|host key)`,
            'i',
          ),
        ),
      );
      await assert.rejects(
        publishTo(target).putFolder(s.step, s.at('from'), 'x', 'changed'),
        fails('PublishRefused', /./),
      );
    }
    await assert.rejects(
      publishTo(at('readonly')).putFolder(s.step, s.at('from'), 'x', 'changed'),
      fails('PublishRefused', /read.only/),
    );
  });

  it('with a full disk are tried again', async () => {
    await s.write('big', 'x'.repeat(300_000));
    const script = 'mount -t tmpfs -o size=64k none "$1" && shift && exec "$@"';
    const folder = s.at('small');
    await mkdir(folder);
    const inside = {
      ...s.step,
      run: ((argv, options) =>
        s.step.run(['sh', '-c', script, 'sh', folder, ...argv], options)) as typeof s.step.run,
    };
    await assert.rejects(
      publishTo({ location: folder, url }).putFile(inside, s.at('big'), 'big', 'changed'),
      fails('DiskFull', /small: /),
    );
  });

  it('need rsync on this host', async () => {
    await mkdir(s.at('tools'));
    for (const tool of ['setpriv', 'unshare', 'mount'])
      await s.step.run(['ln', '-s', `/usr/bin/${tool}`, s.at('tools')]);
    const step = s.stepWith({ path: s.at('tools') });
    await assert.rejects(
      publishTo(targets['a folder']!()).putFile(step, s.at('big'), 'x', 'changed'),
      fails('ToolMissing', /^rsync: /),
    );
  });

  it('a missing source is no trouble of the target', async () => {
    await assert.rejects(
      publishTo(targets['an rsync daemon']!()).putFile(s.step, s.at('nothing'), 'x', 'changed'),
      fails('CommandFailed', /nothing/),
    );
    assert.ok((await stat(s.at('module'))).isDirectory());
  });
});
