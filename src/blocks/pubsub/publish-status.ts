// The status a failed publish counts as for `matching` of a retry policy (dapr/pkg/runtime/pubsub/publish_resiliency.go).
import { AdapterError, textOf } from '../../core/errors.ts';
import { StatusFailure } from '../resiliency/failures.ts';

/** HTTP publishes are matched by HTTP statuses; those over gRPC and the sidecar's own (dead letters, outbox) by gRPC codes. */
export type StatusFamily = 'http' | 'grpc';

const statuses = { transient: { http: 503, grpc: 14 }, terminal: { http: 400, grpc: 9 } } as const;

/** What an adapter calls `unavailable` is Unavailable, its other errors are FailedPrecondition; what is no adapter's error has no status. */
export function withStatus(error: unknown, family: StatusFamily): unknown {
  if (!(error instanceof AdapterError)) return error;
  return new StatusFailure(statuses[error.kind === 'unavailable' ? 'transient' : 'terminal'][family], textOf(error), error);
}
