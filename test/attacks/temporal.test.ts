/** Somebody else on the machine, who reaches the ports of the embedded Temporal server and has no file of the instance. */
import { Connection, type ConnectionOptions } from '@temporalio/client';
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificateFiles, serverName } from '../../src/temporal/certificates.js';
import { TestInstance } from '../support/instance.js';

describe('attacks: the port of the embedded Temporal server', function () {
  let instance: TestInstance;
  let folder: string;
  let stranger: { crt: Buffer; key: Buffer };
  let ca: Buffer;

  before(async () => {
    instance = await TestInstance.create();
    await instance.startServer();
    folder = await mkdtemp(join(tmpdir(), 'treeline-stranger-'));
    const [key, crt] = [join(folder, 'key'), join(folder, 'crt')];
    await execa('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '1'],
      ...['-subj', '/CN=treeline', '-keyout', key, '-out', crt],
    ]);
    stranger = { crt: await readFile(crt), key: await readFile(key) };
    ca = await readFile(certificateFiles(instance.settings).ca);
  });
  after(async () => {
    await instance.close();
    await rm(folder, { recursive: true, force: true });
  });

  const call = async (options: ConnectionOptions) => {
    const address = instance.settings.temporalAddress;
    const connection = await Connection.connect({ ...options, address, connectTimeout: '3s' });
    try {
      return await connection.workflowService.listNamespaces({});
    } finally {
      await connection.close();
    }
  };

  it('hears this instance’s clients', async () => {
    const client = await instance.client();
    const { namespaces } = await client.workflowService.listNamespaces({});
    assert.ok(namespaces.some(({ namespaceInfo }) => namespaceInfo?.name === 'default'));
  });

  for (const [who, options] of [
    ['without TLS', () => ({})],
    [
      'without a certificate',
      () => ({ tls: { serverNameOverride: serverName, serverRootCACertificate: ca } }),
    ],
    [
      'with a certificate of their own',
      () => ({
        tls: { serverNameOverride: serverName, serverRootCACertificate: ca, clientCertPair: stranger },
      }),
    ],
  ] as const)
    it(`does not hear others, ${who}`, () => assert.rejects(call(options())));

  it('is on loopback, as all its ports; none speaks HTTP/1 or answers a web page', async () => {
    const ports = await portsOf(await serverPid());
    assert.ok(ports.length >= 5, JSON.stringify(ports));
    for (const { address, port } of ports) {
      assert.equal(address, '127.0.0.1');
      const answer = await firstWords(port);
      assert.doesNotMatch(answer, /^HTTP\/1\.[01] [23]/, `${port}`);
    }
  });

  it('keeps keys, configuration and data from other users', async () => {
    const { exitCode, stdout } = await execa(
      'setpriv',
      [
        ...['--reuid=65534', '--regid=65534', '--clear-groups', '--'],
        ...['find', join(instance.settings.state, 'temporal'), '-mindepth', '1'],
      ],
      { reject: false },
    );
    assert.equal(stdout, '');
    assert.notEqual(exitCode, 0);
    for (const argument of (await readFile(`/proc/${await serverPid()}/cmdline`, 'utf8')).split('\0'))
      assert.doesNotMatch(argument, /PRIVATE/);
  });

  it('is reached by Temporal’s own tools with the instance’s configuration file, and not without', async () => {
    const file = join(instance.settings.state, 'temporal/client.toml');
    const status = (env: Record<string, string>) => instance.with(env).cli('status', '--json');
    assert.equal((await status({ TEMPORAL_CONFIG_FILE: file })).exitCode, 0);
    const plain = await status({ TEMPORAL_TLS: 'false' });
    assert.equal(plain.exitCode, 3, plain.stderr);
    const absent = await status({
      TEMPORAL_TLS_CLIENT_CERT_PATH: '/absent.pem',
      TEMPORAL_TLS_CLIENT_KEY_PATH: '/absent.key',
    });
    assert.equal(absent.exitCode, 2, absent.stderr);
    assert.match(absent.stderr, /TEMPORAL_TLS_…: .*\/absent\.pem/);
    assert.doesNotMatch(absent.stderr, /^ {4}at /m);
  });

  /** The server that was told this instance's configuration. */
  async function serverPid(): Promise<string> {
    const config = join(instance.settings.state, 'temporal', 'config');
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.split('\0').includes(config)) return pid;
    }
    return assert.fail('no server');
  }
});

/** Where a process listens: IPv4 as an address, all else as `IPv6`. */
async function portsOf(pid: string): Promise<{ address: string; port: number }[]> {
  const open = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
  const found: { address: string; port: number }[] = [];
  for (const family of ['tcp', 'tcp6'])
    for (const line of (await readFile(`/proc/net/${family}`, 'utf8')).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [ip = '', port = ''] = local.split(':');
      // 0A: listening.
      if (state !== '0A' || !inodes.includes(inode)) continue;
      const bytes = Buffer.from(ip, 'hex').reverse();
      found.push({ address: bytes.length === 4 ? bytes.join('.') : 'IPv6', port: parseInt(port, 16) });
    }
  return found;
}

/** What a web page of any origin would get. */
async function firstWords(port: number): Promise<string> {
  const socket = dial({ host: '127.0.0.1', port });
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(
    'POST /api/v1/namespaces/default/workflows/x HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}',
  );
  await sleep(500);
  socket.destroy();
  return answer;
}
