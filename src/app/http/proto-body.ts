// The body of a "universal" handler: one protobuf message in JSON, or nothing (Dapr: pkg/api/http/universal.go).
import { fail } from '../../core/errors.ts';
import { GoJsonError } from '../../core/go-json.ts';
import { protoMessage } from '../../core/proto-json.ts';
import { type HttpCall, universalBody } from './call.ts';

/** Rejects with ERR_BODY_READ where the body cannot be read and ERR_MALFORMED_REQUEST where it is not that message. */
export async function protoBody<T>(call: HttpCall, message: { read(body: Uint8Array): T }): Promise<T> {
  const body = await universalBody(call);
  try {
    return message.read(body);
  } catch (error) {
    if (error instanceof GoJsonError) throw fail('malformedBody', { error: error.message });
    throw error;
  }
}

const anyMessage = protoMessage({});
/** Such handlers parse the body of every request, GET too, though nothing in it may matter. Rejects as `protoBody` does. */
export async function checkBody(call: HttpCall): Promise<void> {
  if (call.incoming.hasBody) await protoBody(call, anyMessage);
}
