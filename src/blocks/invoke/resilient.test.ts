import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import type { Logger } from '../../core/log.ts';
import { defaultBackoff } from '../resiliency/backoff.ts';
import { createBreaker } from '../resiliency/breaker.ts';
import { createPolicy, type PolicyParts } from '../resiliency/policy.ts';
import { statusMatch } from '../resiliency/status-match.ts';
import type { InvokeRequest, InvokeResponse } from './invoke.ts';
import { invokeUnder } from './resilient.ts';

const lines: string[] = [];
const log = { info: () => undefined, debug: () => undefined, warn: (line: string) => { lines.push(line); } } as Partial<Logger> as Logger;
const policyOf = (parts: Partial<PolicyParts>) => createPolicy({ name: 'p', timeoutMs: 0, retry: undefined, breaker: undefined, log, ...parts });
const twice = { ...defaultBackoff, durationMs: 1, maxRetries: 2, matches: statusMatch({ httpStatusCodes: '', gRPCStatusCodes: '' }) };
const opensAtOnce = () => createBreaker({ name: 'b', maxRequests: 1, intervalMs: 0, timeoutMs: 60_000, trips: () => true }, () => undefined);

const streamOf = (...parts: string[]) => new Blob(parts).stream() as ReadableStream<Uint8Array>;
const textOf = (body: InvokeResponse['body']) => new Response(body as BodyInit).text();
const request = (more: Partial<InvokeRequest> = {}): InvokeRequest => ({ id: 'a', method: 'x', verb: 'POST', query: '', headers: [], body: null, length: undefined, ...more });
const response = (status: number, body: InvokeResponse['body'] = null): InvokeResponse => ({ status, headers: ['X-A', String(status)], body, remote: false });
/** Answers one after another; remembers the bodies it was sent. */
function app(...answers: (() => InvokeResponse)[]) {
  const bodies: string[] = [];
  const call = async ({ body }: InvokeRequest): Promise<InvokeResponse> => {
    bodies.push(body === null ? '' : await textOf(body));
    return (answers[Math.min(bodies.length, answers.length) - 1] as () => InvokeResponse)();
  };
  return { bodies, call };
}
/** Sends `parts`, then ends only when it is cancelled. */
function endless(...parts: string[]) {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => { for (const part of parts) controller.enqueue(new TextEncoder().encode(part)); }, cancel: () => { cancelled = true; } });
  return { body, wasCancelled: () => cancelled };
}

describe('an answer that is a failure', () => {
  it('is the caller’s when no more is tried: status, headers and body', async () => {
    const { call, bodies } = app(() => response(503, streamOf('no ', 'way')));
    const answer = await invokeUnder(policyOf({ retry: twice }), request(), background, call, log);
    expect([answer.status, answer.headers, await textOf(answer.body), bodies.length]).toEqual([503, ['X-A', '503'], 'no way', 3]);
  });
  it('is not one with 2xx and 3xx', async () => {
    for (const status of [200, 204, 301, 399]) {
      const { call, bodies } = app(() => response(status));
      expect((await invokeUnder(policyOf({ retry: twice }), request(), background, call, log)).status).toBe(status);
      expect(bodies).toHaveLength(1);
    }
  });
});

describe('a body', () => {
  it('of known length is sent with every try, also where it comes as a stream', async () => {
    const { call, bodies } = app(() => response(500), () => response(200));
    await invokeUnder(policyOf({ retry: twice }), request({ body: streamOf('a', 'bc'), length: 3 }), background, call, log);
    expect(bodies).toEqual(['abc', 'abc']);
  });
  it('of unknown length is sent once: what is answered is passed on, and counts for the breaker', async () => {
    const { call, bodies } = app(() => response(500, streamOf('sorry')));
    const breaker = opensAtOnce();
    const answer = await invokeUnder(policyOf({ retry: twice, breaker }), request({ body: streamOf('abc') }), background, call, log);
    expect([answer.status, await textOf(answer.body), bodies]).toEqual([500, 'sorry', ['abc']]);
    await expect.poll(() => breaker.state()).toBe('open');
  });
  it('of unknown length is not sent again after a timeout either', async () => {
    let calls = 0;
    const run = invokeUnder(policyOf({ timeoutMs: 10, retry: twice }), request({ body: streamOf('abc') }), background, async () => { calls++; return new Promise<never>(() => undefined); }, log);
    await expect(run).rejects.toThrow('context deadline exceeded');
    expect(calls).toBe(1);
  });
});

describe('an answer that takes its time', () => {
  it('is cut when the timeout comes before its end, and not asked for again', async () => {
    const { body, wasCancelled } = endless('first ');
    const { call, bodies } = app(() => response(200, body));
    const answer = await invokeUnder(policyOf({ timeoutMs: 30, retry: twice }), request(), background, call, log);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('first ');
    await expect(reader.read()).rejects.toThrow('context deadline exceeded');
    expect([bodies.length, wasCancelled(), lines.at(-1)]).toEqual([1, true, 'HTTP service invocation failed to complete with error: context deadline exceeded']);
  });
  it('is let go when it comes after the timeout', async () => {
    const { body, wasCancelled } = endless();
    const late = new Promise<InvokeResponse>((done) => setTimeout(done, 30, response(200, body)));
    await expect(invokeUnder(policyOf({ timeoutMs: 10 }), request(), background, () => late, log)).rejects.toThrow('context deadline exceeded');
    await expect.poll(wasCancelled).toBe(true);
  });
  it('counts for the breaker when it is whole; the caller may leave before', async () => {
    const breaker = opensAtOnce();
    const cut = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('cut')) });
    const policy = policyOf({ breaker });
    const left = endless('x');
    const answer = await invokeUnder(policy, request(), background, app(() => response(200, left.body)).call, log);
    await (answer.body as ReadableStream<Uint8Array>).cancel();
    expect([left.wasCancelled(), breaker.state()]).toEqual([true, 'closed']);
    await expect(textOf((await invokeUnder(policy, request(), background, app(() => response(200, cut)).call, log)).body)).rejects.toThrow('cut');
    await expect.poll(() => breaker.state()).toBe('open');
  });
});
