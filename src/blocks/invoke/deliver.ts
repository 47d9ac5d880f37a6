// Handing one call to something that speaks HTTP (the own app, an HTTPEndpoint, a URL): what Go's client adds on the way and undoes on the way back.
import { HttpFailure, headerOf, type HttpResponse, packedHeaders, withoutHeaders } from '../../core/host.ts';

/** The text of a failed call, as Go's net/http client words it. */
const urlError = (method: string, url: string, failure: HttpFailure): string =>
  failure.kind === 'aborted' ? failure.message : `${method.slice(0, 1)}${method.slice(1).toLowerCase()} "${url}": ${failure.message}`;

/** An answer packed with gzip only because the sidecar asked for it is unpacked again; Go's transport does the same. */
export function unpacked(response: HttpResponse): HttpResponse {
  if (response.body === null || headerOf(response.headers, 'content-encoding')?.toLowerCase() !== 'gzip') return response;
  const headers = withoutHeaders(response.headers, packedHeaders);
  const packed = response.body instanceof ReadableStream ? response.body : new Blob([response.body as Uint8Array<ArrayBuffer>]).stream();
  return { status: response.status, headers, body: packed.pipeThrough(new DecompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>) };
}

/** Runs `send` and words its failure. Anything but HttpFailure passes. */
export async function delivered(method: string, url: () => string, mayUnpack: boolean, send: () => Promise<HttpResponse>): Promise<HttpResponse> {
  try {
    const response = await send();
    return mayUnpack ? unpacked(response) : response;
  } catch (error) {
    if (error instanceof HttpFailure) throw new Error(urlError(method, url(), error), { cause: error });
    throw error;
  }
}
