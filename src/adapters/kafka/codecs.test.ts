import { expect, test } from 'vitest';
import { lz4Frame, snap, unlz4, unsnappy, unzstd, zstd } from './codecs.ts';

const text = 'words and words and words and '.repeat(50);
test('what is packed can be unpacked, and is smaller', async () => {
  const packed = await snap(new TextEncoder().encode(text));
  expect(packed.length).toBeLessThan(text.length / 2);
  expect(new TextDecoder().decode(await unsnappy(packed))).toBe(text);
});
test('one bare block, and several in a frame', async () => {
  const block = (await snap(new TextEncoder().encode('ab'.repeat(10)))).slice(20);
  expect(new TextDecoder().decode(await unsnappy(block))).toBe('ab'.repeat(10));
  const frame = await snap(new TextEncoder().encode('cd'));
  const two = new Uint8Array(frame.length + 4 + block.length);
  two.set(frame);
  new DataView(two.buffer).setUint32(frame.length, block.length);
  two.set(block, frame.length + 4);
  expect(new TextDecoder().decode(await unsnappy(two))).toBe(`cd${'ab'.repeat(10)}`);
});
test('LZ4 frames of independent blocks', async () => {
  for (const data of [new Uint8Array(0), new TextEncoder().encode(text), Uint8Array.from({ length: 5_000_000 }, (_, i) => (i * i) >> 9)]) {
    const packed = await lz4Frame(data);
    expect([...packed.subarray(4, 7)]).toEqual([0x60, 0x70, 0x73]);
    expect(Buffer.from(await unlz4(packed)).equals(Buffer.from(data))).toBe(true);
  }
});
test('zstd', async () => {
  for (const data of [new Uint8Array(0), new TextEncoder().encode(text), Uint8Array.from({ length: 500_000 }, (_, i) => (i * i) >> 9)]) {
    const packed = await zstd(data);
    expect(packed.length).toBeLessThan(data.length + 20);
    expect(Buffer.from(await unzstd(packed)).equals(Buffer.from(data))).toBe(true);
  }
});
