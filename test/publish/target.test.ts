/** Publish targets: a folder, a real rsync daemon, a real sshd. */
import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pushed } from '../../src/publish/push.js';
import type { Target } from '../../src/domain/stream.js';
import { readPlaced } from '../../src/publish/readers.js';
import { pushTree, reachTarget, removeAt, rsync, rsyncCommand } from '../../src/publish/target.js';
import { startHttp } from '../support/http.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { freePort } from '../support/ports.js';
import { fails, startRsyncDaemon, startSshd, type Server, type SshServer } from '../support/servers.js';

const url = 'http://127.0.0.1:1';
describe('rsyncCommand', () => {
  it('names folder, daemon and ssh host, and ends options before the paths', () => {
    const command = (location: string, more: Partial<Target> = {}) =>
      rsyncCommand({ location, url, ...more }, ['-r'], ['/a/', '-b'], 'repo/');
    assert.deepEqual(command('/srv/x/'), [
      'rsync',
      '--mkpath',
      '--keep-dirlinks',
      '--chmod=D0755,F0644',
      '-r',
      '--',
      '/a/',
      '-b',
      '/srv/x/repo/',
    ]);
    assert.equal(command('rsync://h:8730/m/p').at(-1), 'rsync://h:8730/m/p/repo/');
    assert.deepEqual(command('ssh://u@h:2222/srv', { identityFile: '/k', knownHostsFile: '/h' }), [
      'rsync',
      '-e',
      'ssh -oBatchMode=yes -p2222 -i/k -oUserKnownHostsFile=/h',
      '--mkpath',
      '--keep-dirlinks',
      '--chmod=D0755,F0644',
      '-r',
      '--',
      '/a/',
      '-b',
      'u@h:/srv/repo/',
    ]);
    assert.deepEqual(command('ssh://h/srv').slice(1, 3), ['-e', 'ssh -oBatchMode=yes']);
    assert.equal(command('ssh://h/srv').at(-1), 'h:/srv/repo/');
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
      await reachTarget(s.step, target());
      await s.write('from/sub/one file', 'first');
      const copy = (...options: string[]) =>
        rsync(s.step, target(), ['-r', '--stats', ...options], [`${s.at('from')}/`], 'new/folder/');
      const first = pushed((await copy('--ignore-existing')).stdout);
      assert.deepEqual([first.files, first.newBytes], [1, 5]);
      assert.ok(first.sentBytes > 5);
      const there = () => readFile(s.at(places[name]!, 'new/folder/sub/one file'), 'utf8');
      assert.equal(await there(), 'first');
      await s.write('from/sub/one file', 'changed');
      assert.equal(pushed((await copy('--ignore-existing')).stdout).files, 0);
      assert.equal(await there(), 'first');
      await copy('--checksum');
      assert.equal(await there(), 'changed');
      // Nothing is deleted unless asked for.
      await s.write('other/file', '');
      await rsync(s.step, target(), ['-r'], [`${s.at('other')}/`], 'new/folder/');
      assert.equal(await there(), 'changed');
      await reachTarget(s.step, target());
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
      await rsync(s.step, target(), ['--recursive'], [`${from}/`], '');
      assert.equal(await modeOf('shared'), '2775');
      assert.match(await modeOf('shared/deep'), /^2?755$/);
      assert.equal(await modeOf('shared/deep/file'), '644');
      // A file that replaces another one keeps that one's.
      await s.write('private/shared/deep/file', 'y');
      await rsync(s.step, target(), ['--recursive', '--checksum', '--delay-updates'], [`${from}/`], '');
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
        await rsync(s.step, target(), ['--recursive'], [`${s.at('tree/builds/1')}/`], 'builds/2/');
        assert.equal(await readFile(place('index.html'), 'utf8'), 'home');
        for (const build of ['1', '2'])
          assert.equal(await readFile(join(disk, build, 'index.html'), 'utf8'), 'page');
        assert.equal((await readPlaced(s.step, target(), 'builds/1/index.html'))?.content.toString(), 'page');
        await removeAt(s.step, target(), 'builds', ['1'], s.at('empty'));
        assert.deepEqual(await readdir(disk), ['2']);
      }
      // Within a transfer some rsyncs follow links and some do not; none may replace one.
      await rsync(s.step, target(), ['--recursive'], [`${s.at('tree')}/`], '').catch(refused);
      assert.ok(await kept());
      if (follows) await reachTarget(s.step, target());
      else await assert.rejects(reachTarget(s.step, target()), refused);
      await rename(disk, `${disk} away`);
      await assert.rejects(
        reachTarget(s.step, target()),
        follows
          ? fails('PublishRefused', /\/builds: is a link that leads nowhere: is its disk mounted\?$/)
          : refused,
      );
      await rm(place('builds'));
    });

    it(`${name} is read past readers' caches: what is there, and that nothing is`, async () => {
      await s.write('from/where is it', 'content');
      await rsync(s.step, target(), ['--times'], [s.at('from/where is it')], 'a/');
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
      reachTarget(s.step, at('file')),
      fails('PublishRefused', /ways\/file: is not a folder/),
    );
    await assert.rejects(
      reachTarget(s.step, at('file/x')),
      fails('PublishRefused', /file\/x: is not a folder/),
    );
    await assert.rejects(
      reachTarget(s.step, at('dangling')),
      fails('PublishRefused', /ways\/dangling: .*leads nowhere/),
    );
    // rsync would put a file with the name of a folder into that folder.
    await s.write('ways/here/repo/summary/theirs', '');
    await s.write('own/summary', 'ours');
    await assert.rejects(
      rsync(s.step, at('here'), ['--recursive'], [`${s.at('own')}/`], 'repo/'),
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
        reachTarget(s.step, target),
        fails('TargetUnreachable', new RegExp(`^${target.location}: `)),
      );
      await assert.rejects(
        rsync(s.step, target, ['-r'], [`${s.folder}/from`], 'x/'),
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
        reachTarget(s.step, target),
        fails(
          'PublishRefused',
          new RegExp(
            `^${target.location}: .*(nknown module|auth failed|denied|verification failed|host key)`,
            'i',
          ),
        ),
      );
      await assert.rejects(
        rsync(s.step, target, ['-r'], [`${s.folder}/from`], 'x/'),
        fails('PublishRefused', /./),
      );
    }
    await assert.rejects(
      rsync(s.step, at('readonly'), ['-r'], [`${s.folder}/from`], 'x/'),
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
      rsync(inside, { location: folder, url }, [], [s.at('big')], 'big'),
      fails('DiskFull', /small: /),
    );
  });

  it('need rsync on this host', async () => {
    await mkdir(s.at('tools'));
    for (const tool of ['setpriv', 'unshare', 'mount'])
      await s.step.run(['ln', '-s', `/usr/bin/${tool}`, s.at('tools')]);
    const step = s.stepWith({ path: s.at('tools') });
    await assert.rejects(
      rsync(step, targets['a folder']!(), [], [s.at('big')], 'x'),
      fails('ToolMissing', /^rsync: /),
    );
  });

  it('a missing source is no trouble of the target', async () => {
    await assert.rejects(
      rsync(s.step, targets['an rsync daemon']!(), [], [s.at('nothing')], 'x'),
      fails('CommandFailed', /nothing/),
    );
    assert.ok((await stat(s.at('module'))).isDirectory());
  });
});
