// What Go's net/http server itself answers to requests that are no HTTP, or not as it wants them (net/http server.go, readRequest).
import { splitTarget, wellEscaped } from '../../app/http/path.ts';

/** The whole answer, for a connection that ends with it. */
export type Refusal = string;

const refusal = (status: string, text = status): Refusal => `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${text}`;
const malformed = refusal('400 Bad Request');
export const tooLong = refusal('431 Request Header Fields Too Large');
const unknownEncoding = refusal('501 Not Implemented', 'Unsupported transfer encoding');
const unknownVersion = refusal('505 HTTP Version Not Supported: unsupported protocol version');

/** Characters of a valid Host header; source: golang.org/x/net/http/httpguts ValidHostHeader. */
const validHost = /^[A-Za-z0-9!$%&()*+,\-.:;=[\]'_~]*$/;
const target = /^(?:\/|\*$|[A-Za-z][A-Za-z0-9+.-]*:)/;

/** What is wrong with the head of a request that the parser took; undefined: nothing. `hosts`: how many Host headers it has, `host` the first. */
export function headProblem(head: { method: string; url: string; major: number; minor: number; hosts: number; host: string; encoding: string | undefined }): Refusal | undefined {
  if (head.encoding !== undefined && head.encoding.toLowerCase() !== 'chunked') return unknownEncoding;
  if (head.major > 1) return unknownVersion;
  if (head.major === 0 || head.hosts > 1 || (head.url.includes('%') && !wellEscaped(splitTarget(head.url).path)) || (head.method !== 'CONNECT' && !target.test(head.url))) return malformed;
  if (head.hosts === 0) return head.minor === 0 || head.method === 'CONNECT' ? undefined : refusal('400 Bad Request: missing required Host header');
  return validHost.test(head.host) ? undefined : refusal('400 Bad Request: malformed Host header');
}

/** What the parser (llhttp) reports; see its HPE_ codes. */
export interface ParseError extends Error {
  code?: string;
  /** The bytes at hand when parsing failed, and where in them. */
  rawPacket?: Buffer;
  bytesParsed?: number;
}

/** The answer to bytes the parser refused; undefined: the connection ends without one (it broke, or the head took too long). */
export function parseProblem({ code = '', rawPacket, bytesParsed = 0 }: ParseError): Refusal | undefined {
  if (!code.startsWith('HPE_')) return undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return tooLong;
  const packet = rawPacket?.toString('latin1') ?? '';
  if (code === 'HPE_INVALID_VERSION') return / HTTP\/[02-9]\.\d\r?\n/.test(packet) ? unknownVersion : malformed;
  if (code === 'HPE_INVALID_TRANSFER_ENCODING') {
    // `chunked` alone is refused only for a length beside it (request smuggling)
    const encodings = [...packet.matchAll(/\ntransfer-encoding:[ \t]*([^\r\n]*?)[ \t]*\r?\n/gi)];
    return encodings.length === 1 && encodings[0]?.[1]?.toLowerCase() === 'chunked' ? malformed : unknownEncoding;
  }
  if (code === 'HPE_INVALID_HEADER_TOKEN') {
    const line = packet.slice(packet.lastIndexOf('\n', bytesParsed - 1) + 1);
    if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]+:/.test(line)) return refusal('400 Bad Request: invalid header name');
  }
  return malformed;
}

/** Go's words for a body the parser gave up on (net/http/internal/chunked.go). */
export function bodyProblem({ code, message }: ParseError): string {
  if (code === 'HPE_INVALID_EOF_STATE') return 'unexpected EOF';
  if (code !== 'HPE_INVALID_CHUNK_SIZE') return 'malformed chunked encoding';
  return /overflow/i.test(message) ? 'http chunk length too large' : 'invalid byte in chunk length';
}
