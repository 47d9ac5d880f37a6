// middleware.http.ratelimit: so many requests per second for each client and path, a token bucket each (Dapr uses didip/tollbooth).
import { headerOf } from '../../../core/host.ts';
import { withHeader } from '../../../core/headers.ts';
import { field, MetadataError, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware, type MiddlewareRequest } from '../../../blocks/middleware/port.ts';
import { textAnswer } from '../answers.ts';
import { canonicalIp } from '../client-ip.ts';
import { urlOf } from '../url.ts';

/** Buckets that are full again are forgotten when there are more than this: a full one is as good as none. */
const manyBuckets = 10_000;

interface Bucket {
  tokens: number;
  /** Milliseconds since 1970. */
  at: number;
}

export default defineHttpMiddleware({
  type: 'middleware.http.ratelimit',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Limits the requests per second of each client to each path; what is above gets 429. Each sidecar (each isolate of a Worker) counts for itself.',
  metadata: schema({ maxRequestsPerSecond: field.text().default('100').describe('Above 0, fractions too. At least one request may always come after a pause') }),
  open: async ({ maxRequestsPerSecond }) => {
    const rate = float(maxRequestsPerSecond);
    if (!(rate > 0)) throw new MetadataError('metadata property maxRequestsPerSecond must be a positive value');
    const burst = Math.floor(Math.max(1, rate));
    const buckets = new Map<string, Bucket>();
    const filled = ({ tokens, at }: Bucket, now: number): number => Math.min(burst, tokens + (Math.max(0, now - at) / 1000) * rate);

    /** Tokens left, undefined where there was none to take. */
    const take = (key: string): number | undefined => {
      const now = Date.now();
      if (buckets.size >= manyBuckets) for (const [name, bucket] of buckets) if (filled(bucket, now) >= burst) buckets.delete(name);
      const bucket = buckets.get(key) ?? { tokens: burst, at: now };
      bucket.tokens = filled(bucket, now);
      bucket.at = now;
      buckets.set(key, bucket);
      if (bucket.tokens < 1) return undefined;
      bucket.tokens -= 1;
      return Math.floor(bucket.tokens);
    };

    return {
      handle: async (came, next) => {
        // the app's pipeline has no client: all its requests count as one, which the app gets to see, as in Dapr
        const request = clientOf(came) === '' ? { ...came, headers: withHeader(came.headers, 'X-Forwarded-For', '0.0.0.0') } : came;
        const left = take(`${clientOf(request)}|${urlOf(request.target).path}`);
        const answer = left === undefined ? textAnswer(429, 'You have reached maximum request limit.') : await next(request);
        const forwardedFor = headerOf(request.headers, 'x-forwarded-for') ?? '';
        answer.headers.unshift(
          'X-Rate-Limit-Limit', rate.toFixed(2), 'X-Rate-Limit-Duration', '1',
          ...(forwardedFor.trim() === '' ? [] : ['X-Rate-Limit-Request-Forwarded-For', forwardedFor]),
          'X-Rate-Limit-Request-Remote-Addr', request.remoteAddress,
          'RateLimit-Limit', String(Math.round(rate)), 'RateLimit-Reset', '1', 'RateLimit-Remaining', String(left ?? 0),
        );
        return answer;
      },
      close: async () => buckets.clear(),
    };
  },
});

/** As Go reads a number from metadata: nothing is 0. */
function float(text: string): number {
  if (text === '') return 0;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new MetadataError(`1 error(s) decoding:\n\n* cannot parse 'MaxRequestsPerSecond' as float: strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** The last address of X-Forwarded-For, else X-Real-IP, else that of the connection. */
function clientOf({ headers, remoteAddress }: MiddlewareRequest): string {
  const forwardedFor = headerOf(headers, 'x-forwarded-for') ?? '';
  if (forwardedFor !== '') return canonicalIp((forwardedFor.split(',').at(-1) as string).trim());
  const realIp = headerOf(headers, 'x-real-ip') ?? '';
  return canonicalIp(realIp !== '' ? realIp : remoteAddress.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
}
