// Calls to the app when configuration items change.
import { describe, expect, it } from 'vitest';
import type { AppChannel, AppRequest } from '../../blocks/invoke/app-channel.ts';
import type { ConfigurationItem } from '../../blocks/configuration/port.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { HttpFailure } from '../../core/host.ts';
import { createLogger } from '../../core/log.ts';
import { createResiliency } from '../../blocks/resiliency/resiliency.ts';
import { readResiliency } from '../../blocks/resources/schemas.ts';
import { createConfigurationApp } from './configuration.ts';

function start(answer: (request: AppRequest) => number = () => 200, healthy = true) {
  const lines: string[] = [];
  const calls: AppRequest[] = [];
  const channel: AppChannel = {
    origin: 'http://127.0.0.1:1',
    healthy,
    send: async (request) => {
      calls.push(request);
      return { status: answer(request), headers: [], body: null };
    },
    close: async () => undefined,
  };
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) });
  return { tell: createConfigurationApp({ channel, log })('conf'), channel, calls, lines };
}
/** `conf` has an inbound policy that retries twice. */
async function startUnderPolicy(answer: (call: number) => number) {
  const started = start((request) => answer(started.calls.filter(({ path }) => path === request.path).length));
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void started.lines.push(line) });
  const resiliency = createResiliency({ log });
  await resiliency.load([readResiliency({ metadata: { name: 'r' }, spec: { policies: { retries: { r: { duration: '1ms', maxRetries: 2 } } }, targets: { components: { conf: { inbound: { retry: 'r' } } } } } }, { file: 'f', document: 1 })]);
  return { ...started, tell: createConfigurationApp({ channel: started.channel, log, resiliency })('conf') };
}
const item = (value: string, version = '', metadata: Record<string, string> = {}): ConfigurationItem => ({ value, version, metadata });
const event = (...items: [string, ConfigurationItem][]) => ({ id: 'ID', items: new Map(items) });

describe('a changed item', () => {
  it('is posted again under the inbound policy of its store, key by key, for any answer but 200', async () => {
    const { tell, calls, lines } = await startUnderPolicy((call) => (call < 3 ? 204 : 200));
    await tell(event(['a', item('1')], ['b', item('2')]));
    expect(calls.map(({ path }) => path)).toEqual(['/configuration/conf/a', '/configuration/conf/a', '/configuration/conf/a', '/configuration/conf/b', '/configuration/conf/b', '/configuration/conf/b']);
    expect(lines.filter((line) => line.includes('error sending'))).toEqual([]);
  });
  it('is posted with the whole event, once per key', async () => {
    const { tell, calls } = start();
    await tell(event(['b', item('<2>', '7', { z: '1', a: '2' })], ['a', item('')]));
    expect(calls.map(({ method, path, headers }) => ({ method, path, headers }))).toEqual(['/configuration/conf/b', '/configuration/conf/a'].map((path) => ({ method: 'POST', path, headers: ['Content-Type', 'application/json'] })));
    for (const { body } of calls) expect(textOfBytes(body as Uint8Array)).toBe('{"id":"ID","items":{"a":{},"b":{"value":"\\u003c2\\u003e","version":"7","metadata":{"a":"2","z":"1"}}}}\n');
  });
  // Recorded from daprd, but for `?`, `#`, `%` (which it lets through raw) and `..` (which leads it out of /configuration).
  it.each([
    ['with space', 'with%20space'], ['\u00fc', '%C3%BC'], ['a/b', 'a/b'], ['pipe||x', 'pipe%7C%7Cx'], ['a+b&c', 'a+b&c'], ['<x>"q"', '%3Cx%3E%22q%22'], ["it's~!$()*,=;:@[1]", "it's~!$()*,=;:@[1]"],
    ['./dot', 'dot'], ['a//b', 'a/b'], ['trail/', 'trail'], ['back\\{}^`', 'back%5C%7B%7D%5E%60'], ['q?x=1', 'q%3Fx=1'], ['h#x', 'h%23x'], ['p%41', 'p%2541'],
  ])('of key %s goes to …/%s', async (key, path) => {
    const { tell, calls } = start();
    await tell(event([key, item('x')]));
    expect(calls.map((call) => call.path)).toEqual([`/configuration/conf/${path}`]);
  });
  it('never reaches another route', async () => {
    const { tell, calls, lines } = start();
    await tell(event(['../../admin', item('x')], ['..', item('x')], ['fine', item('x')]));
    expect(calls.map(({ path }) => path)).toEqual(['/configuration/conf/fine']);
    expect(lines.join()).toContain('would lead out of /configuration/conf');
  });
  it.each([204, 201, 500])('answered with %i is a failure in the log, and the next key is told', async (status) => {
    const { tell, calls, lines } = start(({ path }) => (path.endsWith('/a') ? status : 200));
    await tell(event(['a', item('1')], ['b', item('2')]));
    expect(calls).toHaveLength(2);
    expect(lines.filter((line) => line.includes(`error sending configuration item to the app: error sending configuration item to application, status ${status}`))).toHaveLength(1);
  });
  it('without an answer is one too', async () => {
    const { tell, lines } = start(() => { throw new HttpFailure('refused', 'nobody there'); });
    await tell(event(['a', item('1')]));
    expect(lines.join()).toContain('error sending configuration item to the app: nobody there');
  });
  it('is not sent to an app that is unhealthy', async () => {
    const { tell, calls, lines } = start(() => 200, false);
    await tell(event(['a', item('1')]));
    expect([calls.length, lines.join().includes('status 503')]).toEqual([0, true]);
  });
});
