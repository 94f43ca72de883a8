/** The namespace of the embedded server. */
import type { Client } from '@temporalio/client';
import type { Settings } from '../settings.js';
import { grpcCode, statusOf } from './grpc.js';

/** Histories of closed workflows are kept so long; what people want to know later is in the build store. Seconds. */
const retention = 7 * 86_400;

/** Registers it where it is missing. Idempotent. */
export async function registerNamespace(
  { workflowService }: Client,
  { temporalNamespace: namespace }: Settings,
): Promise<void> {
  try {
    await workflowService.describeNamespace({ namespace });
  } catch (error) {
    if (statusOf(error) !== grpcCode.notFound) throw error;
    await workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: retention as never } })
      .catch((error: unknown) => {
        if (statusOf(error) !== grpcCode.alreadyExists) throw error;
      });
  }
}
