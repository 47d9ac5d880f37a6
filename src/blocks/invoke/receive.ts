// The other end of a remote call: another sidecar asks for this sidecar's app.
import type { CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';
import type { AccessControl } from './access.ts';
import type { AppChannel } from './app-channel.ts';
import { delivered } from './deliver.ts';
import { encodeMethod, MethodRefused, normalizeMethod } from './method.ts';
import { RemoteFailure } from './remote-leg.ts';

export interface ReceivedCall {
  verb: string;
  /** Encoded, with leading slash. */
  path: string;
  /** Without `?`. */
  query: string;
  headers: RawHeaders;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

/**
 * Calls the own app for another sidecar. Rejects with RemoteFailure: the other side shows its code and text to its caller.
 * Source: dapr/pkg/api/grpc/daprinternal.go.
 */
export async function receiveCall(channel: AppChannel | undefined, { verb, path, query, headers, body }: ReceivedCall, context: CallContext, access?: AccessControl): Promise<HttpResponse> {
  if (channel === undefined) throw new RemoteFailure('Internal', 'app channel is not initialized');
  try {
    // Cleaned again here: what is allowed is decided on this form, whatever the other side did.
    const method = normalizeMethod(path.slice(1));
    const denied = access?.(method, verb);
    if (denied !== undefined) throw new RemoteFailure('PermissionDenied', denied);
    const target = `/${encodeMethod(method, channel.origin)}${query === '' ? '' : `?${query}`}`;
    if (!channel.healthy) throw new RemoteFailure('Internal', 'app is not in a healthy state');
    // What is packed only because the caller's sidecar wanted it so is unpacked there.
    return await delivered(verb, () => channel.origin + target, false, () => channel.send({ method: verb, path: target, headers, body }, context));
  } catch (error) {
    if (error instanceof MethodRefused) throw new RemoteFailure('InvalidArgument', error.message);
    if (error instanceof RemoteFailure && error.code === 'PermissionDenied') throw error;
    throw new RemoteFailure('Internal', `error invoking app channel: ${textOf(error)}`, error);
  }
}
