/** How Temporal's server says no. */
import { isGrpcServiceError } from '@temporalio/client';

/** Of gRPC's status codes, those that Treeline tells apart. */
export const grpcCode = { notFound: 5, alreadyExists: 6 } as const;

/** The status code of a call that failed; undefined for any other error. */
export const statusOf = (error: unknown): number | undefined =>
  isGrpcServiceError(error) ? error.code : undefined;
