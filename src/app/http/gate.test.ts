import { describe, expect, it } from 'vitest';
import { headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import { isTraceparent } from '../../core/traceparent.ts';
import { createCors, traceOf } from './gate.ts';

const incoming = (headers: RawHeaders, method = 'GET') => ({ method, headers, header: (name: string) => headerOf(headers, name), signal: new AbortController().signal }) as unknown as Incoming;
const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('trace context', () => {
  it('hands a valid trace on unchanged, with its state', () => {
    const trace = traceOf(incoming(['Traceparent', good, 'tracestate', 'a=1']), 'echo', 1);
    expect(trace.headers).toEqual(['Traceparent', good, 'Tracestate', 'a=1']);
    expect(trace.context).toMatchObject({ traceparent: good, tracestate: 'a=1' });
  });
  it('gives the app a new unsampled trace otherwise, a different one each time, and tells the caller of none', () => {
    const [a, b] = [traceOf(incoming(['traceparent', 'nonsense', 'tracestate', 'a=1']), 'echo', 1), traceOf(incoming([]), 'echo', 1)];
    expect(a.headers).toEqual(['Traceparent', '00-00000000000000000000000000000000-0000000000000000-00']);
    expect(isTraceparent(a.context.traceparent)).toBe(true);
    expect(a.context.traceparent).toMatch(/-00$/);
    expect(a.context.tracestate).toBe('');
    expect(a.context.traceparent).not.toBe(b.context.traceparent);
  });
  it('has a span of its own where spans are made, sampled like the caller', () => {
    const child = traceOf(incoming(['traceparent', good, 'tracestate', 'a=1']), 'spans', 0);
    expect(child.context.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
    expect(child.headers).toEqual(['Traceparent', child.context.traceparent, 'Tracestate', 'a=1']);
    expect(traceOf(incoming([]), 'spans', 1).headers[1]).toMatch(/-01$/);
    expect(traceOf(incoming([]), 'spans', 0).headers[1]).toMatch(/-00$/);
  });
  it('writes a trace of a later version as version 00, and leaves out a state that is none or too long', () => {
    expect(traceOf(incoming(['traceparent', `01${good.slice(2)}-more`, 'tracestate', 'a']), 'echo', 1).headers).toEqual(['Traceparent', good]);
    expect(traceOf(incoming(['traceparent', good, 'tracestate', Array.from({ length: 30 }, (_, i) => `k${i}=${'v'.repeat(20)}`).join(',')]), 'echo', 1).headers).toEqual(['Traceparent', good]);
  });
  it('echoes baggage and refuses what is none', () => {
    expect(traceOf(incoming(['baggage', 'user=1,tier=gold;p=x']), 'echo', 1).headers).toContain('user=1,tier=gold;p=x');
    expect(traceOf(incoming(['baggage', 'no baggage']), 'echo', 1).refusal).toBe('invalid baggage header: invalid baggage list-member: "no baggage"');
    expect(traceOf(incoming(['baggage', 'no baggage']), 'echo', 1).headers).toEqual([]);
    expect(traceOf(incoming(['baggage', 'a=1', 'Baggage', 'b=2']), 'echo', 1).headers).toContain('a=1,b=2');
  });
});

describe('CORS', () => {
  it('is off without origins', () => expect(createCors('')).toBeUndefined());
  it('decorates, never blocks', () => {
    const cors = createCors('https://A.example,https://*.b.example')!;
    expect(cors.actual(incoming(['Origin', 'https://a.example']))).toEqual(['Vary', 'Origin', 'Access-Control-Allow-Origin', 'https://a.example']);
    expect(cors.actual(incoming(['Origin', 'https://x.b.example']))).toContain('https://x.b.example');
    expect(cors.actual(incoming(['Origin', 'https://evil.example']))).toEqual(['Vary', 'Origin']);
  });
  it('answers preflights with the requested method and headers, canonical', () => {
    const preflight = createCors('*')!.preflight(incoming(['Origin', 'https://x', 'Access-Control-Request-Method', 'put', 'Access-Control-Request-Headers', 'x-one, X-TWO'], 'OPTIONS'));
    expect(preflight).toEqual(['Vary', 'Origin', 'Vary', 'Access-Control-Request-Method', 'Vary', 'Access-Control-Request-Headers', 'Access-Control-Allow-Origin', '*', 'Access-Control-Allow-Methods', 'PUT', 'Access-Control-Allow-Headers', 'X-One, X-Two']);
    expect(createCors('*')!.preflight(incoming(['Origin', 'https://x'], 'OPTIONS'))).toBeUndefined();
  });
});
