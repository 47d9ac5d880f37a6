import { expect, test } from 'vitest';
import type { Logger } from '../../core/log.ts';
import { createApiLog, Measured } from './api-logging.ts';
import { httpCall, type Route } from './call.ts';
import { incomingFromRequest } from './incoming.ts';

type Fields = Record<string, string | number> | undefined;
function recorder() {
  const told: Fields[] = [];
  const log = { always: (_message: string, fields: Fields) => told.push(fields), scope: () => log } as unknown as Logger;
  return { log, told };
}
const callTo = (target: string, headers: Record<string, string> = {}) =>
  httpCall(new Measured(incomingFromRequest(new Request(`http://localhost${target}`, { headers }))), 0, { traceparent: '', tracestate: '', baggage: '' });
const route = (name: string) => ({ name }) as Route;

test('decoded path without query, code, size in bytes, user agent', () => {
  const { log, told } = recorder();
  const call = callTo('/v1.0/state/mem/a%2Fb%20%C3%A9?metadata.x=secret', { 'user-agent': 'me/1' });
  createApiLog({ log, obfuscateUrls: false, omitHealthChecks: false })(call, route('GetState'), call.incoming.respond(200, [], 'é'), Date.now());
  expect(told).toEqual([{ method: 'GET /v1.0/state/mem/a/b é', code: 200, size: 2, duration: expect.any(Number), useragent: 'me/1' }]);
});

test('obfuscated: the operation, and of an invocation only the app', () => {
  const { log, told } = recorder();
  const tell = createApiLog({ log, obfuscateUrls: true, omitHealthChecks: false });
  const call = callTo('/v1.0/invoke/shop/method/secret');
  tell(call, route('SaveState'), call.incoming.respond(204, [], null), Date.now());
  tell(call, undefined, call.incoming.respond(404, [], 'x'), Date.now());
  call.invoked = 'shop';
  tell(call, undefined, call.incoming.respond(200, [], 'x'), Date.now());
  expect(told.map((fields) => fields?.method)).toEqual(['SaveState', 'InvokeService', 'InvokeService/shop']);
});

test('obfuscated: a call to an actor has its type, and its id unless metrics have none', () => {
  const { log, told } = recorder();
  const call = callTo('/v1.0/actors/cat/4%2B2/method/meow');
  for (const actorIds of [undefined, true, false]) createApiLog({ log, obfuscateUrls: true, omitHealthChecks: false, actorIds })(call, route('InvokeActor'), call.incoming.respond(204, [], null), Date.now());
  expect(told.map((fields) => fields?.method)).toEqual(['InvokeActor/cat.4+2', 'InvokeActor/cat.4+2', 'InvokeActor/cat']);
});

test('health checks are left out only where that is asked for', () => {
  for (const omitHealthChecks of [true, false]) {
    const { log, told } = recorder();
    const call = callTo('/v1.0/healthz');
    createApiLog({ log, obfuscateUrls: false, omitHealthChecks })(call, route('Healthz'), call.incoming.respond(204, [], null), Date.now());
    expect(told).toHaveLength(omitHealthChecks ? 0 : 1);
  }
});

test('a streamed answer is told at its end, with all its bytes', async () => {
  const { log, told } = recorder();
  const call = callTo('/v1.0/invoke/shop/method/x');
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new Uint8Array(3));
      controller.enqueue(new Uint8Array(4));
      controller.close();
    },
  });
  const response = call.incoming.respond(200, [], body);
  createApiLog({ log, obfuscateUrls: false, omitHealthChecks: false })(call, undefined, response, Date.now());
  await Promise.resolve();
  expect(told).toEqual([]);
  expect((await response.arrayBuffer()).byteLength).toBe(7);
  await new Promise((done) => setTimeout(done, 0));
  expect(told).toMatchObject([{ size: 7, code: 200 }]);
});
