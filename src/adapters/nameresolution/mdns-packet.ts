// DNS messages as mDNS uses them: reading and writing questions and the PTR, SRV, TXT, A and AAAA records (RFC 1035, RFC 6762).

export const types = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
/** Class IN. The top bit asks for a unicast answer in a question, and flushes caches in a record. */
const classIn = 1;
const topBit = 0x8000;

export interface Question {
  name: string;
  type: number;
  unicast?: boolean;
}
export type RecordData =
  | { type: typeof types.PTR; target: string }
  | { type: typeof types.SRV; port: number; target: string }
  | { type: typeof types.TXT; texts: string[] }
  | { type: typeof types.A | typeof types.AAAA; address: string };
/** Names end without a dot. */
export type ResourceRecord = RecordData & { name: string; ttl: number; flush?: boolean };
export interface Message {
  /** Repeated in an answer to a question that wants it by unicast. */
  id?: number;
  response: boolean;
  questions: Question[];
  answers: ResourceRecord[];
  authorities: ResourceRecord[];
  additionals: ResourceRecord[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Without name compression: these messages are small. Throws where a label is longer than 63 bytes. */
export function encodeMessage({ id = 0, response, questions, answers, authorities, additionals }: Message): Uint8Array {
  const out: number[] = [];
  const u16 = (value: number) => { out.push((value >> 8) & 0xff, value & 0xff); };
  const name = (text: string) => {
    for (const label of text.split('.')) {
      const bytes = encoder.encode(label);
      if (bytes.length === 0 || bytes.length > 63) throw new RangeError(`"${text}" is no DNS name`);
      out.push(bytes.length, ...bytes);
    }
    out.push(0);
  };
  u16(id);
  u16(response ? 0x8400 : 0);
  for (const list of [questions, answers, authorities, additionals]) u16(list.length);
  for (const question of questions) {
    name(question.name);
    u16(question.type);
    u16(question.unicast ? classIn | topBit : classIn);
  }
  for (const record of [...answers, ...authorities, ...additionals]) {
    name(record.name);
    u16(record.type);
    u16(record.flush ? classIn | topBit : classIn);
    u16(record.ttl >>> 16);
    u16(record.ttl);
    const at = out.length;
    u16(0);
    switch (record.type) {
      case types.PTR: name(record.target); break;
      case types.SRV: u16(0); u16(0); u16(record.port); name(record.target); break;
      case types.TXT:
        for (const text of record.texts) {
          const bytes = encoder.encode(text).subarray(0, 255);
          out.push(bytes.length, ...bytes);
        }
        break;
      default: out.push(...addressBytes(record.address));
    }
    const size = out.length - at - 2;
    out[at] = size >> 8;
    out[at + 1] = size & 0xff;
  }
  return Uint8Array.from(out);
}

/** Records of other types are passed over. Undefined where the packet is no DNS message. */
export function decodeMessage(packet: Uint8Array): Message | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  try {
    let at = 12;
    const name = (start: number): { text: string; end: number } => {
      const labels: string[] = [];
      let end = -1;
      // Pointers only lead back, so a message cannot send us round in circles.
      for (let from = start, limit = packet.length; ; ) {
        const length = view.getUint8(from);
        if (length === 0) return { text: labels.join('.'), end: end < 0 ? from + 1 : end };
        if (length >= 0xc0) {
          if (end < 0) end = from + 2;
          const target = view.getUint16(from) & 0x3fff;
          if (target >= Math.min(from, limit)) throw new RangeError('bad pointer');
          limit = from = target;
        } else {
          labels.push(decoder.decode(packet.subarray(from + 1, from + 1 + length)));
          from += length + 1;
        }
      }
    };
    const record = (): ResourceRecord | undefined => {
      const { text, end } = name(at);
      const type = view.getUint16(end);
      const flush = (view.getUint16(end + 2) & topBit) !== 0;
      const ttl = view.getUint32(end + 4);
      const start = end + 10;
      const size = view.getUint16(end + 8);
      at = start + size;
      const head = { name: text, ttl, flush };
      if (at > packet.length) throw new RangeError('record is cut');
      switch (type) {
        case types.PTR: return { ...head, type, target: name(start).text };
        case types.SRV: return { ...head, type, port: view.getUint16(start + 4), target: name(start + 6).text };
        case types.TXT: {
          const texts: string[] = [];
          for (let i = start; i < at; i += (packet[i] as number) + 1) texts.push(decoder.decode(packet.subarray(i + 1, i + 1 + (packet[i] as number))));
          return { ...head, type, texts };
        }
        case types.A: return size === 4 ? { ...head, type, address: packet.subarray(start, at).join('.') } : undefined;
        case types.AAAA: return size === 16 ? { ...head, type, address: ipv6Text(packet.subarray(start, at)) } : undefined;
        default: return undefined;
      }
    };
    const id = view.getUint16(0);
    const response = (view.getUint16(2) & 0x8000) !== 0;
    const questions = Array.from({ length: view.getUint16(4) }, (): Question => {
      const { text, end } = name(at);
      at = end + 4;
      return { name: text, type: view.getUint16(end), unicast: (view.getUint16(end + 2) & topBit) !== 0 };
    });
    const section = (offset: number) => Array.from({ length: view.getUint16(offset) }, record).filter((one) => one !== undefined);
    return { id, response, questions, answers: section(6), authorities: section(8), additionals: section(10) };
  } catch {
    return undefined;
  }
}

function addressBytes(address: string): number[] {
  if (!address.includes(':')) return address.split('.').map(Number);
  const [head = '', tail] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, after] = [words(head), words(tail ?? '')];
  const all = tail === undefined ? before : [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return all.flatMap((word) => [word >> 8, word & 0xff]);
}

/** Shortest form of RFC 5952. */
function ipv6Text(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16));
  const text = words.join(':');
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (longest === undefined) return text;
  const head = text.slice(0, longest.index);
  const rest = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${head}::${rest}`;
}
