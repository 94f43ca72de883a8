/** Where the embedded server listens, and where its own parts look for it, by the address that clients are told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { parse } from 'yaml';
import { readSettings } from '../../src/settings.js';
import { serverConfigText } from '../../src/temporal/server-config.js';

interface Rpc {
  rpc: { bindOnIP: string; grpcPort: number; membershipPort: number };
}
interface Config {
  services: { frontend: Rpc; history: Rpc; matching: Rpc; worker: Rpc };
  clusterMetadata: { clusterInformation: { active: { rpcAddress: string } } };
  publicClient: { hostPort: string };
}

describe('the configuration of the embedded Temporal server', () => {
  for (const [address, bound, own] of [
    ['127.0.0.1:7233', /^127\.0\.0\.1$/, /^127\.0\.0\.1:7233$/],
    ['localhost:7233', /^(127\.0\.0\.1|::1)$/, /^(127\.0\.0\.1|\[::1\]):7233$/],
    ['0.0.0.0:7233', /^0\.0\.0\.0$/, /^127\.0\.0\.1:7233$/],
    ['[::1]:7233', /^::1$/, /^\[::1\]:7233$/],
    ['[::]:7233', /^::$/, /^127\.0\.0\.1:7233$/],
  ] as const)
    it(`binds to an address, and finds itself, at ${address}`, async () => {
      const settings = readSettings({ TEMPORAL_ADDRESS: address, TREELINE_STATE: '/nowhere' });
      const config = parse(await serverConfigText(settings, '/nowhere/dynamic.yaml')) as Config;
      assert.match(config.services.frontend.rpc.bindOnIP, bound);
      assert.equal(config.services.frontend.rpc.grpcPort, 7233);
      assert.match(config.clusterMetadata.clusterInformation.active.rpcAddress, own);
      assert.match(config.publicClient.hostPort, own);
    });

  it('has the inner ports of last time, or of those that are taken new ones', async () => {
    const settings = readSettings({ TEMPORAL_ADDRESS: '127.0.0.1:7233', TREELINE_STATE: '/nowhere' });
    const text = (former?: string) => serverConfigText(settings, '/nowhere/dynamic.yaml', former);
    const first = await text();
    assert.equal(await text(first), first);
    const { history } = (parse(first) as Config).services;
    const other = createServer().listen(history.rpc.membershipPort, '127.0.0.1');
    await once(other, 'listening');
    const { services } = parse(await text(first)) as Config;
    await once(other.close(), 'close');
    assert.notEqual(services.history.rpc.membershipPort, history.rpc.membershipPort);
    assert.equal(services.history.rpc.grpcPort, history.rpc.grpcPort);
    for (const damaged of ['', '{', 'services: 1', first.slice(0, 300)])
      assert.ok(parse(await text(damaged)));
  });
});
