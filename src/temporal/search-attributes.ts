/** Registration of the search attributes on a server, be it the embedded one or one's own. */
import type { Client } from '@temporalio/client';
import { searchAttributes } from '../search-attributes.js';
import type { Settings } from '../settings.js';
import { grpcCode, statusOf } from './grpc.js';

/** `INDEXED_VALUE_TYPE_KEYWORD` of the Temporal API. */
const keyword = 2;

/** Registers what is missing; the server may need some seconds until they can be used. Idempotent. */
export async function registerSearchAttributes(
  client: Client,
  { temporalNamespace: namespace }: Settings,
): Promise<void> {
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  const missing = searchAttributes.filter(({ name }) => customAttributes[name] === undefined);
  if (missing.length === 0) return;
  await client.connection.operatorService
    .addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(({ name }) => [name, keyword])),
    })
    .catch((error: unknown) => {
      // Another process was quicker.
      if (statusOf(error) !== grpcCode.alreadyExists) throw error;
    });
}
