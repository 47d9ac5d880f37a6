import { describe, expect, it } from 'vitest';
import { createAddresses, type Resolution } from './addresses.ts';
import type { NameResolver } from './port.ts';

const ready = (resolver: Partial<NameResolver>): (() => Resolution) => () => ({ state: 'ready', resolver: { cacheMs: 0, resolve: async () => [], close: async () => undefined, ...resolver } });

describe('addresses', () => {
  it('says as daprd does that there is no resolver, or that it knows nobody', async () => {
    const absent = createAddresses(() => ({ state: 'absent' }));
    expect(() => absent.check('a', 'default')).toThrow('name resolver not initialized');
    await expect(absent.find('a', 'default')).rejects.toThrow('name resolver not initialized');
    const failed = createAddresses(() => ({ state: 'failed' }));
    await expect(failed.find('a', 'default')).rejects.toThrow('resolver returned empty address for app id default/a');
    expect(() => failed.checkPresent()).not.toThrow();
  });

  it('keeps an answer as long as the resolver allows, takes turns, and asks again after a failure', async () => {
    let time = 0;
    let asked = 0;
    const addresses = createAddresses(ready({ cacheMs: 100, resolve: async () => { asked++; return ['h:1', 'h:2']; } }), () => time);
    const both = new Set([await addresses.find('a', 'n'), await addresses.find('a', 'n')]);
    expect([...both].sort()).toEqual(['h:1', 'h:2']);
    expect(asked).toBe(1);
    expect(addresses.known('a', 'n')).toBeDefined();
    addresses.drop('a', 'n', 'h:1');
    expect(addresses.known('a', 'n')).toBeUndefined();
    await addresses.find('a', 'n');
    expect(asked).toBe(2);
    time = 101;
    expect(addresses.known('a', 'n')).toBeUndefined();
  });

  it('does not keep every name somebody thinks of', async () => {
    const addresses = createAddresses(ready({ cacheMs: 1000, resolve: async (id) => [`${id}:1`] }), () => 0);
    await addresses.find('first', 'n');
    for (let i = 0; i < 5000; i++) await addresses.find(`name-${i}`, 'n');
    expect([addresses.known('first', 'n'), addresses.known('name-4999', 'n')]).toEqual([undefined, 'name-4999:1']);
  });

  it('lets callers that come together share one question, and an error is final', async () => {
    let asked = 0;
    const addresses = createAddresses(ready({ resolve: async (id) => { asked++; await null; throw new Error(`couldn't find service: ${id}`); } }));
    const results = await Promise.allSettled([addresses.find('a', 'n'), addresses.find('a', 'n')]);
    expect(results.map((one) => (one as PromiseRejectedResult).reason.message)).toEqual(["couldn't find service: a", "couldn't find service: a"]);
    expect(asked).toBe(1);
  });

  it('uses what a resolver has at hand and tells it of addresses that do not answer', () => {
    const failures: string[] = [];
    const addresses = createAddresses(ready({ peek: (id) => (id === 'a' ? ['h:1'] : undefined), failed: (id, _namespace, address) => void failures.push(`${id} ${address}`) }));
    expect(addresses.known('a', 'n')).toBe('h:1');
    expect(addresses.known('b', 'n')).toBeUndefined();
    addresses.drop('a', 'n', 'h:1');
    expect(failures).toEqual(['a h:1']);
  });
});
