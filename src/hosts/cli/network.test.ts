import { createServer } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import { bestInterface, canListen, freePort, hostAddress, patiently, portFor } from './network.ts';

test('the stable port: the same for the same app, folder, user and machine, and within daprd’s range', () => {
  expect(portFor('web', '/srv/shop', 1000, 'box')).toBe(portFor('web', '/srv/shop', 1000, 'box'));
  expect(portFor('web', '/srv/shop', 1000, 'box')).not.toBe(portFor('web', '/srv/other', 1000, 'box'));
  for (let i = 0; i < 200; i++) {
    const port = portFor(`app${i}`, '/', 0, 'box');
    expect(port).toBeGreaterThanOrEqual(47300);
    expect(port).toBeLessThanOrEqual(65534);
  }
});

const on = (...addresses: string[]) => ({ eth0: addresses.map((address) => ({ address, internal: false }) as NetworkInterfaceInfo), lo: [{ address: '127.0.0.1', internal: true } as NetworkInterfaceInfo] });
test('of the interfaces: public IPv4, global IPv6, private IPv4, unique local, link-local', () => {
  expect(bestInterface(on('fe80::1', 'fd00::1', '10.0.0.1', '2001:db8::5', '203.0.113.7'))).toBe('203.0.113.7');
  expect(bestInterface(on('fe80::1', '100.64.0.1', '2001:db8::5'))).toBe('2001:db8::5');
  expect(bestInterface(on('fe80::1', 'fd00::1', '172.20.0.4'))).toBe('172.20.0.4');
  expect(bestInterface(on('169.254.1.1', 'fd00::1'))).toBe('fd00::1');
  expect(bestInterface(on('192.0.0.2'))).toBeUndefined();
  expect(bestInterface(on())).toBeUndefined();
});

test('DAPR_HOST_IP goes before everything', async () => expect(await hostAddress({ DAPR_HOST_IP: '127.0.0.9' })).toBe('127.0.0.9'));

test('a taken port is tried again until it is free', async () => {
  const port = await freePort();
  const first = createServer().listen(port, 'localhost');
  await new Promise((done) => first.once('listening', done));
  expect(await canListen(port)).toBe(false);
  setTimeout(() => first.close(), 150);
  let tries = 0;
  const listen = async () => {
    tries++;
    if (!(await canListen(port))) throw new Error('taken');
    return 'open';
  };
  expect(await patiently(listen, new AbortController().signal)).toBe('open');
  expect(tries).toBeGreaterThan(1);
});

test('a stop ends the tries', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  const startedAt = Date.now();
  await expect(patiently(() => Promise.reject(new Error('taken')), stop.signal)).rejects.toThrow('taken');
  expect(Date.now() - startedAt).toBeLessThan(2000);
});
