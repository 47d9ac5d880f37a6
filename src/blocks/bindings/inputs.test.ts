import { afterEach, expect, test, vi } from 'vitest';
import { background } from '../../core/context.ts';
import { createLogger } from '../../core/log.ts';
import { createComponentStore } from '../components/store.ts';
import { type BindingApp, createInputs } from './inputs.ts';
import type { Binding, EventHandler } from './port.ts';

const event = { data: new Uint8Array([1]), metadata: {} };
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

function setUp(properties: Record<string, Record<string, string>>, app: Partial<BindingApp> = {}) {
  const lines: string[] = [];
  const handlers = new Map<string, EventHandler>();
  const closed: string[] = [];
  const components = createComponentStore();
  for (const [name, metadata] of Object.entries(properties)) {
    const port: Binding = {
      read: async (handler) => {
        if (metadata.fails) throw new Error('no broker');
        handlers.set(name, handler);
        return { close: async () => void closed.push(name) };
      },
      close: async () => undefined,
    };
    components.add({ name, type: 'bindings.test', version: 'v1', block: 'bindings', features: ['INPUT_BINDING'], properties: metadata, port });
  }
  const asked: string[] = [];
  const inputs = createInputs({
    components,
    app: { wants: async (route) => { asked.push(route); return true; }, deliver: async () => undefined, ...app },
    log: createLogger({ appId: 'a', instance: 'i', version: 'v', level: 'debug', write: (line) => lines.push(line) }),
  });
  return { inputs, handlers, closed, asked, lines };
}

test('the app is asked by route unless the component says it is an input', async () => {
  const { inputs, handlers, asked } = setUp({ a: {}, b: { route: '/else' }, c: { DIRECTION: 'output, Input' }, d: { direction: 'output' } });
  await inputs.start();
  expect(asked).toEqual(['a', '/else']);
  expect([...handlers.keys()].sort()).toEqual(['a', 'b', 'c']);
});

test('a binding the app does not want is not read', async () => {
  const { inputs, handlers, lines } = setUp({ a: {}, b: {} }, { wants: async (route) => route === 'b' });
  await inputs.start();
  expect([...handlers.keys()]).toEqual(['b']);
  expect(lines.join()).toContain('app has not subscribed to binding a.');
});

test.each([
  ['an app that gives no answer', { a: {}, b: {}, c: {} }, { wants: async (route: string) => { if (route === 'b') throw new Error('timeout'); return true; } }, 'timeout'],
  ['a binding that cannot be read', { a: {}, b: { fails: 'yes' }, c: {} }, {}, 'no broker'],
])('%s is in the way of no other', async (_, properties, app, why) => {
  const { inputs, handlers, lines } = setUp(properties, app);
  await inputs.start();
  expect([...handlers.keys()]).toEqual(['a', 'c']);
  expect(lines.join()).toContain(`failed to read from bindings: ${why}`);
  await inputs.stop();
});

afterEach(() => { vi.useRealTimers(); });
test('an app that gives no answer is asked again, about this binding only, with longer and longer pauses, until it is stopped', async () => {
  vi.useFakeTimers();
  const asked: string[] = [];
  let answers = false;
  const { inputs, handlers } = setUp({ a: {}, slow: {} }, { wants: async (route) => { asked.push(route); if (route === 'slow' && !answers) throw new Error('timeout'); return true; } });
  await inputs.start();
  await vi.advanceTimersByTimeAsync(1000);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual(['a', 'slow', 'slow']);
  answers = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect([asked.length, [...handlers.keys()]]).toEqual([4, ['a', 'slow']]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(4);
  answers = false;
  await inputs.start();
  await inputs.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(6);
});

test('stop waits for events at the app and refuses new ones', async () => {
  let answer: (() => void) | undefined;
  const { inputs, handlers, closed } = setUp({ a: {} }, { deliver: () => new Promise((resolve) => { answer = () => resolve(new Uint8Array([2])); }) });
  await inputs.start();
  const delivered = (handlers.get('a') as EventHandler)(event, background);
  let stopped = false;
  const stopping = inputs.stop().then(() => { stopped = true; });
  await settled();
  await expect((handlers.get('a') as EventHandler)(event, background)).rejects.toThrow('input binding is closed');
  expect([stopped, closed]).toEqual([false, []]);
  answer?.();
  expect(await delivered).toEqual(new Uint8Array([2]));
  await stopping;
  expect(closed).toEqual(['a']);
});

test('a refused event is the binding’s to deal with; reading goes on', async () => {
  const { inputs, handlers } = setUp({ a: {} }, { deliver: async () => { throw new Error('status code: 500'); } });
  await inputs.start();
  await expect((handlers.get('a') as EventHandler)(event, background)).rejects.toThrow('status code: 500');
  await expect((handlers.get('a') as EventHandler)(event, background)).rejects.toThrow('status code: 500');
});

test('a second start reads anew', async () => {
  const { inputs, closed, asked } = setUp({ a: {} });
  await inputs.start();
  await inputs.start();
  expect([closed, asked]).toEqual([['a'], ['a', 'a']]);
  await inputs.stop();
  expect(closed).toEqual(['a', 'a']);
});
