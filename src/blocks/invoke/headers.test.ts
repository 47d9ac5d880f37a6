import { describe, expect, it } from 'vitest';
import { legRequestHeaders, requestHeaders, responseHeaders, senderHeaders } from './headers.ts';

const added = ['User-Agent', 'Go-http-client/1.1', 'Accept-Encoding', 'gzip'];
const forward = (headers: string[], method = 'GET', keepToken = true) => requestHeaders(headers, method, keepToken, 'none').list;

describe('requestHeaders', () => {
  it('passes ordinary headers in Go’s spelling, repeats in order', () => {
    expect(forward(['x-a', '1', 'X-A', '2', 'Authorization', 'Bearer x'])).toEqual(['X-A', '1', 'X-A', '2', 'Authorization', 'Bearer x', ...added]);
  });
  it('keeps what belongs to the connection, also what Connection names', () => {
    expect(forward(['Connection', 'close, X-Private', 'X-Private', 's', 'Keep-Alive', '5', 'TE', 'trailers', 'Upgrade', 'x', 'Transfer-Encoding', 'chunked', 'Expect', '100-continue', 'Host', 'h', 'Content-Length', '3', 'X-Kept', 'y'])).toEqual(['X-Kept', 'y', ...added]);
  });
  it('never takes an identity from a caller, in any spelling', () => {
    expect(forward(['dapr-caller-app-id', 'liar', 'DAPR-CALLER-NAMESPACE', 'lie', 'Dapr-Callee-App-Id', 'lie', 'destination-app-id', 'x', 'dapr-app-id', 'y'])).toEqual(added);
  });
  it('drops binary metadata and renames gRPC’s own', () => {
    expect(forward(['X-Data-Bin', 'AAE=', 'grpc-timeout', '1S', 'x-bin-data', 'k'])).toEqual(['Dapr-Grpc-Timeout', '1S', 'X-Bin-Data', 'k', ...added]);
  });
  it('asks for gzip only where the caller has no wish of its own', () => {
    expect(requestHeaders(['accept-encoding', 'br'], 'GET', true, 'none')).toEqual({ list: ['Accept-Encoding', 'br', 'User-Agent', 'Go-http-client/1.1'], mayUnpack: false });
    expect(requestHeaders(['Range', 'bytes=0-1'], 'GET', true, 'none').mayUnpack).toBe(false);
    expect(requestHeaders([], 'HEAD', true, 'none').list).toEqual(['User-Agent', 'Go-http-client/1.1']);
    expect(requestHeaders(['User-Agent', ''], 'GET', true, 'none').list).toEqual(['Accept-Encoding', 'gzip']);
  });
  it('keeps the API token where the sidecar asks for one itself', () => {
    expect(forward(['dapr-api-token', 's'])).toContain('s');
    expect(forward(['Dapr-Api-Token', 's'], 'GET', false)).not.toContain('s');
  });
  it('leaves a trace to the sidecar where it has one, except one it could not read', () => {
    const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(requestHeaders(['tracestate', 'a=1', 'traceparent', good], 'GET', true, 'echo').list).toEqual(added);
    expect(requestHeaders(['traceparent', 'nonsense', 'tracestate', 'a=1'], 'GET', true, 'echo').list).toEqual(['Traceparent', 'nonsense', 'Tracestate', 'a=1', ...added]);
    expect(requestHeaders(['traceparent', 'nonsense'], 'GET', true, 'span').list).toEqual(added);
    expect(requestHeaders(['baggage', 'a=1', 'baggage', 'b=2'], 'GET', true, 'span').list).toEqual(['Baggage', 'a=1', ...added]);
  });
});

describe('responseHeaders', () => {
  it('takes connection and length away and the type apart', () => {
    expect(responseHeaders(['content-type', 'text/plain', 'Content-Length', '5', 'Connection', 'X-Private', 'X-Private', 's', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'grpc-status', '5', 'X-Data-Bin', 'x']))
      .toEqual({ list: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Dapr-Grpc-Status', '5'], contentType: 'text/plain' });
  });
});

describe('legRequestHeaders', () => {
  it('ends what belongs to the leg; the sender speaks only through its marker', () => {
    expect(legRequestHeaders(['host', 'h', 'connection', 'keep-alive', 'X-A', '1', 'Dapr-Caller-App-Id', 'liar', 'outrigger-leg', '1', 'content-length', '4'])).toEqual(['X-A', '1']);
  });
  it('tells the app who sent the call', () => {
    expect(senderHeaders({ appId: 'a', namespace: 'n', address: 'fd00::2', hostname: 'box' }, 'b')).toEqual(['X-Forwarded-For', 'fd00::2', 'X-Forwarded-Host', 'box', 'Forwarded', 'for="[fd00::2]";by="[fd00::2]";host=box', 'Dapr-Caller-App-Id', 'a', 'Dapr-Caller-Namespace', 'n', 'Dapr-Callee-App-Id', 'b']);
  });
});
