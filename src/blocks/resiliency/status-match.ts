// Which statuses a retry policy retries: `matching.httpStatusCodes` and `matching.gRPCStatusCodes`, lists such as `500,502-504` (dapr/pkg/resiliency/retry.go).

type Range = readonly [from: number, to: number];
const httpStatuses: Range = [100, 599];
const grpcStatuses: Range = [0, 16];

/** Whether a failure with this status is retried. */
export type StatusMatch = (status: number) => boolean;

/** An empty list matches every status of its family. Throws with Dapr's words for what is wrong with a list. */
export function statusMatch(lists: { httpStatusCodes: string; gRPCStatusCodes: string }): StatusMatch {
  const http = rangesOf(lists.httpStatusCodes, httpStatuses);
  const grpc = rangesOf(lists.gRPCStatusCodes, grpcStatuses);
  return (status) => (within(status, grpcStatuses) ? listed(status, grpc) : within(status, httpStatuses) ? listed(status, http) : false);
}

const within = (status: number, [from, to]: Range): boolean => from <= status && status <= to;
const listed = (status: number, ranges: readonly Range[] | undefined): boolean => ranges === undefined || ranges.some((range) => within(status, range));

function rangesOf(list: string, valid: Range): Range[] | undefined {
  return list === '' ? undefined : list.split(',').filter((part) => part !== '').map((part) => rangeOf(part, valid));
}

function rangeOf(pattern: string, valid: Range): Range {
  const [first = '', last, ...more] = pattern.split('-');
  if (more.length > 0) throw new Error(`invalid pattern ${pattern}, more than one '-' exists`);
  const from = whole(first, 'start', pattern);
  if (!within(from, valid)) throw new Error(`invalid pattern ${pattern}, start code ${from} is not valid`);
  const to = last === undefined ? from : whole(last, 'end', pattern);
  if (!within(to, valid)) throw new Error(`invalid pattern ${pattern}, end code ${to} is not valid`);
  if (to < from) throw new Error(`invalid pattern ${pattern}, start value should not bigger than end value`);
  return [from, to];
}

function whole(text: string, which: 'start' | 'end', pattern: string): number {
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw new Error(`failed to parse ${which} code ${text} from pattern ${pattern} to int, strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
}
