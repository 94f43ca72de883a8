/** Where the embedded server listens, and where its own parts look for it, by the address that clients are told. */
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { readSettings } from '../../src/settings.js';
import { serverConfigText } from '../../src/temporal/server-config.js';

interface Config {
  services: { frontend: { rpc: { bindOnIP: string; grpcPort: number } } };
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
});
