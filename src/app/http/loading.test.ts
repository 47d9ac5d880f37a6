import { expect, test } from 'vitest';
import type { HttpCall } from './call.ts';
import { createLoading } from './loading.ts';

const context = {} as HttpCall;

test('calls wait until loading is done, later ones do not', async () => {
  const loading = createLoading();
  let calls = 0;
  const held = loading.hold(() => {
    calls++;
    return new Response('ok');
  });
  const early = held(context);
  await Promise.resolve();
  expect(calls).toBe(0);
  loading.done();
  expect(await (await early).text()).toBe('ok');
  expect(held(context)).toBeInstanceOf(Response);
  loading.cancelled();
  expect(held(context)).toBeInstanceOf(Response);
});

test('where loading is given up, waiting and later calls are told so', async () => {
  const loading = createLoading();
  const held = loading.hold(() => new Response('never'));
  const early = held(context) as Promise<Response>;
  loading.cancelled();
  await expect(early).rejects.toMatchObject({ is: 'outboundNotReady' });
  await expect(held(context)).rejects.toMatchObject({ is: 'outboundNotReady' });
});
