import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import mdns from './mdns.ts';
import { decodeMessage, encodeMessage, type Message, types } from './mdns-packet.ts';

const hex = (text: string) => Uint8Array.from(text.match(/../g) as string[], (byte) => Number.parseInt(byte, 16));

describe('packets', () => {
  it('survive the way out and back', () => {
    const message: Message = {
      id: 7, response: true, questions: [{ name: 'orders.local', type: types.PTR, unicast: true }],
      answers: [{ type: types.PTR, name: 'orders.local', ttl: 3200, flush: false, target: 'host:1.orders.local' }],
      authorities: [{ type: types.SRV, name: 'host:1.orders.local', ttl: 3200, flush: true, port: 50002, target: 'host.local' }],
      additionals: [
        { type: types.TXT, name: 'host:1.orders.local', ttl: 3200, flush: false, texts: ['orders'] },
        { type: types.A, name: 'host.local', ttl: 120, flush: false, address: '192.0.2.7' },
        { type: types.AAAA, name: 'host.local', ttl: 120, flush: false, address: 'fd00::2:0:1' },
      ],
    };
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });
  it('are read with compressed names', () => {
    // an answer `a.local PTR x.a.local` whose second name points back to the first
    const packet = hex('000084000000000100000000' + '0161056c6f63616c00' + '000c0001000000780004' + '0178c00c');
    expect(decodeMessage(packet)?.answers).toEqual([{ type: types.PTR, name: 'a.local', ttl: 120, flush: false, target: 'x.a.local' }]);
  });
  it.each(['', '0000', '000084000000000100000000c00c000c0001000000780002c00c', '0000840000000001000000000161'])('that are none are passed over: %s', (packet) => {
    expect(decodeMessage(hex(packet || '00').subarray(packet ? 0 : 1))).toBeUndefined();
  });
});

/** A network cable: everybody hears everybody, as on one machine. */
function network() {
  const members = new Set<(packet: Uint8Array, from: { address: string; port: number }) => void>();
  const host = (): Host => ({
    hostname: 'box',
    multicast: {
      join: async (onPacket) => {
        members.add(onPacket);
        return {
          send: (packet) => { for (const member of members) queueMicrotask(() => member(packet, { address: '192.0.2.1', port: 5353 })); },
          close: () => { members.delete(onPacket); },
        };
      },
    },
  }) as Partial<Host> as Host;
  return { host };
}
const log = { info: () => undefined, warn: () => undefined } as Partial<Logger> as Logger;
const open = (host: Host, appId: string, internalPort: number) => mdns.open({}, { host, log, self: { appId, namespace: '', address: '192.0.2.1', internalPort, httpPort: 3500, appPort: 0 } });

describe('nameresolution.mdns', () => {
  afterEach(() => { vi.useRealTimers(); });

  it('finds a neighbour, keeps it at hand, and forgets it when it says good-bye', async () => {
    const { host } = network();
    const [a, b] = [await open(host(), 'alpha', 1001), await open(host(), 'beta', 1002)];
    expect(a.peek?.('beta', '')).toBeUndefined();
    expect(await a.resolve('beta', '')).toEqual(['192.0.2.1:1002']);
    expect(a.peek?.('beta', '')).toEqual(['192.0.2.1:1002']);
    await b.close();
    await vi.waitFor(() => expect(a.peek?.('beta', '')).toBeUndefined());
    await a.close();
  });

  it('gives every instance of an app', async () => {
    const { host } = network();
    const all = [await open(host(), 'beta', 1), await open(host(), 'beta', 2), await open(host(), 'alpha', 3)];
    const alpha = all[2]!;
    await alpha.resolve('beta', '');
    await vi.waitFor(() => expect([...(alpha.peek?.('beta', '') ?? [])].sort()).toEqual(['192.0.2.1:1', '192.0.2.1:2']));
    alpha.failed?.('beta', '', '192.0.2.1:1');
    expect(alpha.peek?.('beta', '')).toEqual(['192.0.2.1:2']);
    for (const one of all) await one.close();
  });

  it('gives up after a second, in daprd’s words', async () => {
    vi.useFakeTimers();
    const alpha = await open(network().host(), 'alpha', 1);
    const found = alpha.resolve('nobody', '').catch((error: Error) => error.message);
    await vi.advanceTimersByTimeAsync(999);
    await vi.advanceTimersByTimeAsync(2);
    expect(await found).toBe("couldn't find service: nobody");
    await alpha.close();
  });

  it('asks no further for what nobody is', async () => {
    vi.useFakeTimers();
    const cable = network();
    const asked: string[] = [];
    await cable.host().multicast?.join((packet) => {
      const message = decodeMessage(packet);
      if (message && !message.response && message.authorities.length === 0) asked.push(...message.questions.map(({ name }) => name));
    });
    const alpha = await open(cable.host(), 'alpha', 1);
    const given = Promise.allSettled(['nobody', 'nothing'].map((name) => alpha.resolve(name, '')));
    await vi.advanceTimersByTimeAsync(1001);
    await given;
    expect(new Set(asked)).toEqual(new Set(['nobody.local', 'nothing.local']));
    asked.length = 0;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(asked).toEqual([]);
    await alpha.close();
  });

  it('carries on where there is no multicast', async () => {
    const alpha = await open({ hostname: 'box' } as Host, 'alpha', 1);
    await expect(alpha.resolve('beta', '')).rejects.toThrow("couldn't find service: beta");
    await alpha.close();
  });
});
