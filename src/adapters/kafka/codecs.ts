// Compression of Kafka's record batches that the client library leaves to others; each is loaded when a batch needs it.

/** What the files of the three libraries export; the types that exist for two of them know only Node's Buffers. */
interface Snappy {
  compress(data: Uint8Array): Uint8Array;
  uncompress(data: Uint8Array): Uint8Array;
}
interface Lz4 {
  compress(data: Uint8Array): Uint8Array;
  decompress(data: Uint8Array): Uint8Array;
}
const snappy = async () => ((await import('snappyjs' as string)) as { default: Snappy }).default;
const lz4 = async () => ((await import('lz4js' as string)) as { default: Lz4 }).default;

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(data: Buffer): Promise<Buffer>;
}

const bytesOf = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

// The Java library's form: a magic word, two version numbers, then blocks with their lengths. Others send one bare block.
const magic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0];
const headerLength = 16;

export async function unsnappy(data: Uint8Array): Promise<Uint8Array> {
  const { uncompress } = await snappy();
  if (!magic.every((byte, i) => data[i] === byte)) return uncompress(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const blocks: Uint8Array[] = [];
  for (let at = headerLength; at + 4 <= data.length; ) {
    const length = view.getUint32(at);
    blocks.push(uncompress(data.slice(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(blocks);
}
export async function snap(data: Uint8Array): Promise<Uint8Array> {
  const block = (await snappy()).compress(data.slice());
  const framed = new Uint8Array(headerLength + 4 + block.length);
  framed.set(magic);
  const view = new DataView(framed.buffer);
  view.setUint32(8, 1);
  view.setUint32(12, 1);
  view.setUint32(headerLength, block.length);
  framed.set(block, headerLength + 4);
  return framed;
}

// Kafka takes only frames whose blocks stand for themselves, which the library does not say of its own: one frame from one of each block.
const lz4Header = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73];
const lz4Block = 4 * 1024 * 1024;

export async function lz4Frame(data: Uint8Array): Promise<Uint8Array> {
  const { compress } = await lz4();
  const parts: Uint8Array[] = [Uint8Array.from(lz4Header)];
  for (let at = 0; at < data.length; at += lz4Block) parts.push(compress(data.subarray(at, at + lz4Block)).subarray(lz4Header.length, -4));
  return Buffer.concat([...parts, new Uint8Array(4)]);
}
export const unlz4 = async (data: Uint8Array): Promise<Uint8Array> => (await lz4()).decompress(data);

/** Level 3, the one zstd itself begins with, as sarama. */
export const zstd = async (data: Uint8Array): Promise<Uint8Array> => (await (await import('@hpcc-js/wasm-zstd')).Zstd.load()).compress(data, 3);
export const unzstd = async (data: Uint8Array): Promise<Uint8Array> => (await import('fzstd')).decompress(data);

/** Makes the client read and write snappy, lz4 and zstd. */
export function addCodecs({ CompressionCodecs, CompressionTypes }: typeof import('kafkajs')): void {
  const add = (type: 2 | 3 | 4, codec: Codec) => { CompressionCodecs[type] = () => codec; };
  add(CompressionTypes.Snappy, { compress: async ({ buffer }) => bytesOf(await snap(buffer)), decompress: async (data) => bytesOf(await unsnappy(data)) });
  add(CompressionTypes.LZ4, { compress: async ({ buffer }) => bytesOf(await lz4Frame(buffer)), decompress: async (data) => bytesOf(await unlz4(data)) });
  add(CompressionTypes.ZSTD, { compress: async ({ buffer }) => bytesOf(await zstd(buffer)), decompress: async (data) => bytesOf(await unzstd(data)) });
}
