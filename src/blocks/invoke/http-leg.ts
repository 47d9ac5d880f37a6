// The private leg between two Outriggers: the app's request and answer as plain HTTP/1.1, marked on both sides so that nothing else is taken for it.
import type { GrpcCode } from '../../core/errors.ts';
import { HttpFailure, headerOf, type HttpPort, type HttpResponse } from '../../core/host.ts';
import { failureHeader, legHeader, legVersion, writeEnvelope } from './leg-headers.ts';
import { RemoteFailure, type RemoteLeg } from './remote-leg.ts';


/** Room for an app's whole header block (its own limit is enforced where the app is called) and what the sidecar adds. */
const maxHeaderBytes = 1024 * 1024;

export function createHttpLeg(http: HttpPort): RemoteLeg {
  /** Addresses that have answered in this protocol. */
  const known = new Set<string>();
  /** By called app; the sender is always this sidecar. */
  const envelopes = new Map<string, string>();
  return {
    call: async (address, { sender, calleeId, method, path, headers, body }, context) => {
      let envelope = envelopes.get(calleeId);
      if (envelope === undefined) {
        envelope = writeEnvelope(sender, calleeId);
        if (envelopes.size < 1024) envelopes.set(calleeId, envelope);
      }
      let response: HttpResponse;
      try {
        response = await http.send({ method, origin: `http://${address}`, path, headers: [...headers, legHeader, envelope], body, gone: () => context.signal, maxHeaderBytes });
      } catch (error) {
        const failure = error instanceof HttpFailure ? error : new HttpFailure('other', String(error), error);
        if (failure.kind === 'other') known.delete(address);
        throw failed(address, failure, known.has(address));
      }
      if (headerOf(response.headers, legHeader) !== legVersion) {
        known.delete(address);
        await release(response);
        throw foreign(address);
      }
      known.add(address);
      const code = headerOf(response.headers, failureHeader);
      if (code !== undefined) throw new RemoteFailure(code as GrpcCode, await textOf(response));
      return { status: response.status, headers: response.headers, body: response.body };
    },
  };
}

function failed(address: string, { kind, message }: HttpFailure, wasKnown: boolean): RemoteFailure {
  switch (kind) {
    case 'aborted': return new RemoteFailure('Canceled', 'context canceled');
    case 'refused': case 'timeout': return new RemoteFailure('Unavailable', `connection error: desc = "transport: Error while dialing: ${message}"`);
    // A Go sidecar greets with HTTP/2 frames or hangs up on HTTP/1.1: neither is an answer.
    case 'other': return foreign(address, message);
    case 'reset': return wasKnown ? new RemoteFailure('Unavailable', `error reading from server: ${message}`) : foreign(address, message);
  }
}

const foreign = (address: string, detail = 'it is not an Outrigger sidecar') =>
  new RemoteFailure('Unimplemented', `the sidecar at ${address} does not speak Outrigger's HTTP protocol between sidecars, and this version cannot call it over gRPC: ${detail}`);

const release = async ({ body }: HttpResponse) => { if (body instanceof ReadableStream) await body.cancel().catch(() => undefined); };
const textOf = async ({ body }: HttpResponse) => (body === null ? '' : new Response(body as BodyInit).text());
