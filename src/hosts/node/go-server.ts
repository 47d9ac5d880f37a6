// What Go's net/http server itself answers to requests that are no HTTP, or not as it wants them (net/http server.go, readRequest).

export interface Refusal {
  status: 400 | 417 | 431 | 501 | 505;
  /** Body, text/plain. */
  text: string;
}

const statusText = { 400: 'Bad Request', 417: 'Expectation Failed', 431: 'Request Header Fields Too Large', 501: 'Not Implemented', 505: 'HTTP Version Not Supported' } as const;
const refusal = (status: Refusal['status'], reason = ''): Refusal => ({ status, text: `${status} ${statusText[status]}${reason && `: ${reason}`}` });

export const tooLong = refusal(431);
const malformed = refusal(400);

/** The whole answer as bytes for a connection that ends with it. */
export const refusalAnswer = ({ status, text }: Refusal): string => `HTTP/1.1 ${status} ${statusText[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${text}`;

/** Characters of a valid Host header; source: golang.org/x/net/http/httpguts ValidHostHeader. */
const validHost = /^[A-Za-z0-9!$%&()*+,\-.:;=[\]'_~]*$/;
const target = /^(?:\/|\*$|[A-Za-z][A-Za-z0-9+.-]*:)/;

/** What is wrong with the head of a request that the parser took; undefined: nothing. `hosts`: how many Host headers it has, `host` the first. */
export function headProblem(head: { method: string; url: string; minor: number; hosts: number; host: string }): Refusal | undefined {
  if (head.hosts > 1 || (head.method !== 'CONNECT' && !target.test(head.url))) return malformed;
  if (head.hosts === 0) return head.minor === 0 || head.method === 'CONNECT' ? undefined : refusal(400, 'missing required Host header');
  return validHost.test(head.host) ? undefined : refusal(400, 'malformed Host header');
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
  if (code === 'HPE_INVALID_TRANSFER_ENCODING') return { status: 501, text: 'Unsupported transfer encoding' };
  if (code === 'HPE_INVALID_EOF_STATE') return undefined;
  const packet = rawPacket?.toString('latin1') ?? '';
  const before = packet.lastIndexOf('\r\n\r\n', Math.max(bytesParsed - 4, 0));
  const start = before > 0 ? before + 4 : 0;
  const version = / HTTP\/(\d)\.(\d)\r?\n/.exec(packet.slice(start, start + 4096))?.[1];
  if (code === 'HPE_INVALID_VERSION' && version !== undefined && version !== '1') return refusal(505, 'unsupported protocol version');
  if (code === 'HPE_INVALID_HEADER_TOKEN') {
    const from = packet.lastIndexOf('\n', bytesParsed - 1) + 1;
    const end = packet.indexOf('\n', from);
    return headerProblem(packet.slice(from, end < 0 ? undefined : end).replace(/\r$/, ''));
  }
  return malformed;
}

/** Go reads `name: value` first and only then looks at the characters. */
function headerProblem(line: string): Refusal {
  const colon = line.indexOf(':');
  if (colon < 1 || /^[ \t]/.test(line)) return malformed;
  const name = line.slice(0, colon);
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return /[^ -~]/.test(name) ? malformed : refusal(400, 'invalid header name');
  return refusal(400, 'invalid header value');
}
