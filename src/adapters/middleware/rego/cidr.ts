// Address blocks for Rego's net.cidr_contains.

interface Block {
  address: bigint;
  /** 32 or 128. */
  width: number;
  bits: number;
}

function addressOf(text: string): { address: bigint; width: number } | undefined {
  const quad = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (quad) {
    const bytes = quad.slice(1).map(Number);
    return bytes.every((byte) => byte < 256) ? { address: bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), width: 32 } : undefined;
  }
  const host = text.includes(':') ? `http://[${text}]/` : '';
  if (host === '' || !URL.canParse(host)) return undefined;
  const [head = '', tail] = new URL(host).hostname.slice(1, -1).split('::'); // compressed, never with a dotted part
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return { address: groups.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n), width: 128 };
}
function blockOf(text: string): Block | undefined {
  const [ip = '', size] = text.split('/') as [string, string?];
  const found = addressOf(ip);
  if (found === undefined) return undefined;
  const bits = size === undefined ? found.width : /^\d{1,3}$/.test(size) ? Number(size) : -1;
  return bits < 0 || bits > found.width ? undefined : { ...found, bits };
}

/** Whether an address or a block lies in a block; undefined where one of the two is none. */
export function cidrContains(block: string, part: string): boolean | undefined {
  const [outer, inner] = [block.includes('/') ? blockOf(block) : undefined, blockOf(part)];
  if (outer === undefined || inner === undefined) return undefined;
  const shift = BigInt(outer.width - outer.bits);
  return outer.width === inner.width && inner.bits >= outer.bits && inner.address >> shift === outer.address >> shift;
}
