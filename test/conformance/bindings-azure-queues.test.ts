// bindings.azure.storagequeues against Azurite.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { openComponent } from './open.ts';

const type = 'bindings.azure.storagequeues';

describe(type, () => {
  let azurite: Awaited<ReturnType<typeof startAzurite>>;
  beforeAll(async () => {
    azurite = await startAzurite('queue');
  }, 60_000);
  afterAll(() => azurite?.stop());
  const open = async (queueName: string, metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<Binding>(type, { ...azuriteAccount, queueEndpoint: azurite.endpoint, queueName, pollingInterval: '100ms', ...metadata });
    const create = (data: string | Uint8Array, wanted: Record<string, string> = {}) => (port.invoke as NonNullable<Binding['invoke']>)({ operation: 'create', data: typeof data === 'string' ? new TextEncoder().encode(data) : data, metadata: wanted }, background);
    /** Reads until so many came; the first `failures` of them the app refuses. */
    const take = async (count: number, failures = 0) => {
      const events: BindingEvent[] = [];
      const reading = await port.read?.(async (event) => {
        events.push(event);
        if (events.length <= failures) throw new Error('the app said no');
        return undefined;
      });
      await expect.poll(() => events.length, { timeout: 8000 }).toBe(count);
      await reading?.close();
      return events;
    };
    return { port, create, take, text: async (count: number) => (await take(count)).map(({ data }) => new TextDecoder().decode(data)) };
  };

  test('what is created is read, with all that is known of the message', async () => {
    const { port, create, take } = await open('known');
    expect(port.operations).toEqual(['create']);
    expect(await create('"a <ü> & \\"b\\"\\r\\n"')).toBeNull();
    const [event] = await take(1);
    expect(new TextDecoder().decode(event?.data)).toBe('a <ü> & "b"\r\n');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(event?.metadata).toEqual({ messageID: expect.stringMatching(/^[0-9a-f-]{36}$/), popReceipt: expect.any(String), insertionTime: time, expirationTime: time, nextVisibleTime: time, dequeueCount: '1' });
    const lives = (from: string, to: string) => (Date.parse(event?.metadata[to] as string) - Date.parse(event?.metadata[from] as string)) / 1000;
    expect(lives('insertionTime', 'expirationTime')).toBe(600);
    await create('second');
    const [again] = await take(1); // the first one is gone
    expect(new TextDecoder().decode(again?.data)).toBe('second');
  });
  test('a message that the app refuses comes again', async () => {
    const { create, take } = await open('refused', { visibilityTimeout: '1s' });
    await create('{"a":1}');
    const events = await take(2, 1);
    expect(events.map(({ data, metadata }) => [new TextDecoder().decode(data), metadata.dequeueCount])).toEqual([['{"a":1}', '1'], ['{"a":1}', '2']]);
  });
  test('lifetime and delay, of the component and of the request', async () => {
    const { create, take } = await open('timed', { ttlInSeconds: '60', initialVisibilityDelay: '1s' });
    const started = Date.now();
    await create('usual');
    await create('own', { ttlInSeconds: '120', initialVisibilityDelay: '2s' });
    const events = await take(2);
    expect(Date.now() - started).toBeGreaterThanOrEqual(1000);
    expect(events.map(({ data, metadata }) => [new TextDecoder().decode(data), (Date.parse(metadata.expirationTime as string) - Date.parse(metadata.insertionTime as string)) / 1000])).toEqual([['usual', 60], ['own', 120]]);
    await expect(create('x', { ttl: 'soon' })).rejects.toMatchObject({ message: "ttl value must be a valid integer: actual is 'soon'" });
    await expect(create('x', { initialVisibilityDelay: 'soon' })).rejects.toMatchObject({ message: 'invalid value for initialVisibilityDelay: time: invalid duration "soon"' });
  });
  test('base64 on the way in and out', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const both = await open('base64', { encodeBase64: 'true', decodeBase64: 'true' });
    await both.create(bytes);
    expect(Buffer.from((await both.take(1))[0]?.data as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
    await both.create('"hello"');
    expect(await (await open('base64')).text(1)).toEqual(['aGVsbG8=']);
  });
  test('an end of the reading does not wait for the next look', async () => {
    const { port } = await open('idle', { pollingInterval: '1m' });
    const reading = await port.read?.(async () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const started = Date.now();
    await reading?.close();
    expect(Date.now() - started).toBeLessThan(1000);
  });
  test.each([
    [{ accountName: '' }, 'missing or empty accountName field from metadata'],
    [{ queueName: '' }, 'missing or empty queueName field from metadata'],
    [{ pollingInterval: '99ms' }, "invalid value for 'pollingInterval': must be greater than 100ms"],
    [{ ttl: '-1' }, "ttl value must be higher than zero: actual is '-1'"],
    [{ accountKey: 'no base64!' }, /^invalid shared key credentials with error: /],
    [{ accountKey: '', azureAuthMethods: 'none' }, "invalid token credentials with error: all Azure auth methods have been disabled with auth method 'None'"],
    [{ accountKey: 'AAAA' }, /RESPONSE 403, ERROR CODE: AuthenticationFailed/],
  ] as [Record<string, string>, string | RegExp][])('%j is refused', async (metadata, message) => {
    await expect(open('queue', metadata)).rejects.toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });
});
