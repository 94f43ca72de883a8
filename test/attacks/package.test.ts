/**
 * A malicious package: what runs as root while a tree is made (scriptlets, post-process scripts) or a source package is built has the tree
 * or the build, and nothing else of the host. `package.pl` tries the doors; here is who looks whether one was open.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { composeLimits } from '../../src/composers/dnf/inside.js';
import { inside, prepareSandbox, sandboxed, usualLimits } from '../../src/reimzul/builder/sandbox.js';
import { packageRoot } from '../../src/settings.js';
import { TinyTree } from '../composers/tiny-tree.js';
import { until } from '../support/ports.js';

const attacks = join(packageRoot, 'test/attacks/package.pl');
const canary = 'canary of the host\n';

describe('a malicious package', function () {
  let tiny: TinyTree;
  let servers: Server[];
  let config: string;
  /** Connections to servers of this host. */
  let visitors = 0;
  const at = (name: string) => join(tiny.folder, name);

  before(async () => {
    tiny = await TinyTree.make();
    await mkdir(at('host'));
    await writeFile(at('host/secret'), canary, { mode: 0o644 });
    servers = await Promise.all([{ port: 0, host: '127.0.0.1' }, { path: at('host/socket') }].map(serve));
    const address = servers[0]?.address();
    assert.ok(address && typeof address === 'object');
    config = at('config');
    const known = {
      secret: at('host/secret'),
      socket: at('host/socket'),
      port: address.port,
      pid: process.pid,
      cmdline: (await readFile('/proc/self/cmdline', 'utf8')).split('\0')[0] ?? '',
    };
    const lines = Object.entries(known).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(config, lines.join(''));
    await tiny.rpm({
      name: 'odd-perl',
      install: `mkdir -p $r/usr/bin $r/usr/share/odd; f=/usr/bin/perl; cp $f $r/usr/bin/perl
for lib in $(ldd $f | grep -o '/[^ ]*'); do to=$r/usr\${lib#/usr}; mkdir -p $(dirname $to); cp -L $lib $to; done
cp ${attacks} ${config} $r/usr/share/odd`,
      files: '/usr/bin/perl\n/usr/lib*/*\n/usr/share/odd',
    });
  });
  after(async () => {
    for (const server of servers) server.close();
    await tiny.remove();
  });

  async function serve(where: { port: number; host: string } | { path: string }): Promise<Server> {
    const server = createServer((socket) => {
      visitors += 1;
      socket.destroy();
    });
    server.listen(where);
    await once(server, 'listening');
    return server;
  }

  /** What each attack came to. */
  async function outcomes(file: string): Promise<{ name: string; got: boolean; why: string }[]> {
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    return lines.map((line) => {
      const [name = '', outcome, why = ''] = line.split('\t');
      return { name, got: outcome === 'got', why };
    });
  }

  /** Nothing is reached, and nothing on the host has changed. */
  async function refused(file: string): Promise<void> {
    const all = await outcomes(file);
    assert.ok(all.length > 100, `${all.length} attacks`);
    assert.deepEqual(
      all.filter(({ got }) => got).map(({ name }) => name),
      [],
    );
    assert.deepEqual((await readdir(at('host'))).sort(), ['secret', 'socket']);
    assert.equal(await readFile(at('host/secret'), 'utf8'), canary);
    assert.equal(visitors, 0);
  }

  it('gets through each door that is tried without harm, where nothing is in its way', async () => {
    const env = { ...process.env, TREELINE_TEST: 'canary' };
    await promisify(execFile)('perl', [attacks, config, at('control'), 'harmless'], { env, cwd: '/' });
    const all = await outcomes(at('control'));
    assert.ok(all.length >= 9, `${all.length} attacks`);
    assert.deepEqual(
      all.filter(({ got }) => !got),
      [],
    );
    await until('both servers had a visitor', 10, () => visitors === 2);
    visitors = 0;
  });

  const run = (name: string) => `perl /usr/share/odd/package.pl /usr/share/odd/config /usr/share/${name}.txt`;

  it('is refused all of it in a scriptlet', async () => {
    await tiny.rpm({
      name: 'odd-scriptlet',
      scripts: `%post\n${run('scriptlet')}`,
      tags: 'Requires: odd-perl',
    });
    const { tree } = await tiny.compose(['odd-perl', 'odd-scriptlet']);
    await refused(join(tree, 'usr/share/scriptlet.txt'));
  });

  it('is refused all of it in a post-process script', async () => {
    const treefile = `postprocess: ${JSON.stringify([run('script')])}`;
    const { tree } = await tiny.compose(['odd-perl'], { treefile });
    await refused(join(tree, 'usr/share/script.txt'));
  });

  it('is refused all of it in the build of a source package', async () => {
    const work = at('build-sandbox');
    await mkdir(work);
    await prepareSandbox(work);
    for (const file of [attacks, config]) await tiny.step.run(['cp', file, work]);
    const argv = ['perl', `${inside}/package.pl`, `${inside}/config`, `${inside}/tmp/result`] as const;
    await tiny.step.run(sandboxed(work, usualLimits, argv));
    await refused(join(work, 'tmp/result'));
  });

  it('is refused it in Lua, which runs in the program that installs it', async () => {
    const doors = [
      '',
      '/proc/1/root',
      '/proc/self/root',
      '/proc/self/cwd/..',
      '../../../../../..',
      '/tree/..',
    ];
    const fds = Array.from({ length: 20 }, (_, fd) => [
      `/proc/self/fd/${fd}`,
      `/proc/self/fd/${fd}/..`,
    ]).flat();
    const paths = [...doors, ...fds].map((door) => `"${door}${at('host/secret')}"`).join(', ');
    const script = `%post -p <lua>
local said = io.open("/usr/share/lua.txt", "w")
for _, path in ipairs({${paths}}) do
  local file = io.open(path)
  said:write(path, "\\t", file and "got" or "refused", "\\n")
end
for _, path in ipairs({"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/mem", "/dev/kmsg"}) do
  local file = io.open(path, "r+")
  said:write(path, "\\t", file and "got" or "refused", "\\n")
end
said:close()`;
    await tiny.rpm({ name: 'odd-lua', scripts: script });
    const { tree } = await tiny.compose(['odd-lua']);
    const all = await outcomes(join(tree, 'usr/share/lua.txt'));
    assert.ok(all.length > 40, `${all.length} attacks`);
    assert.deepEqual(
      all.filter(({ got }) => got),
      [],
    );
    assert.deepEqual((await readdir(at('host'))).sort(), ['secret', 'socket']);
  });

  for (const folder of ['dev', 'tmp', 'run'])
    it(`is refused a /${folder} that leads out of the tree`, async () => {
      const name = `odd-mount-${folder}`;
      await tiny.rpm({
        name,
        install: `mkdir -p $r/usr/share/${name}; ln -s ${at('host')} $r/${folder}`,
        files: `/usr/share/${name}\n/${folder}`,
      });
      const failure = await tiny.refused([name], { treefile: "postprocess: ['true']" });
      assert.equal(failure.code, 'ComposeFailed');
      assert.deepEqual((await readdir(at('host'))).sort(), ['secret', 'socket']);
    });

  it('cannot replace /proc of the tree', async () => {
    await tiny.rpm({
      name: 'odd-mount-proc',
      install: `mkdir -p $r/usr/share/odd-mount-proc; ln -s ${at('host')} $r/proc`,
      files: '/usr/share/odd-mount-proc\n/proc',
    });
    const { tree } = await tiny.compose(['odd-mount-proc'], { treefile: "postprocess: ['true']" });
    assert.ok((await lstat(join(tree, 'proc'))).isDirectory());
  });

  it('is ended with all that it started when it starts too many processes', async () => {
    const bomb = 'f() { f | f & }; f; while :; do :; done';
    await tiny.rpm({ name: 'odd-bomb', scripts: `%post\n${bomb}` });
    const failure = await tiny.refused(['odd-bomb']);
    assert.match(failure.message, new RegExp(`more than ${composeLimits.processes} processes`));
  });
});
