// The start section of a WebAssembly module: what runs inside instantiation, when nobody outside can reach the memory yet. It becomes an export that is called right after.

export const startExport = 'outrigger:start';

/** The module without a start section, its function exported as `outrigger:start`; the same bytes where it has none. What is no module is left as it is. */
export function withStartExported(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const sections = sectionsOf(module);
  const start = sections.find(({ id }) => id === 8);
  if (start === undefined) return module;
  const exported = sections.find(({ id }) => id === 7);
  const [count, rest] = exported ? readNumber(exported.content, 0) : [0, 0];
  const name = new TextEncoder().encode(startExport);
  const entries = [...number(count + 1), ...(exported?.content.subarray(rest) ?? []), ...number(name.length), ...name, 0, ...start.content];
  const section = [7, ...number(entries.length), ...entries];
  const parts: Uint8Array[] = [module.subarray(0, 8)];
  let placed = false;
  for (const { id, bytes } of sections) {
    // sections stand in the order of their numbers, custom ones (0) anywhere
    if (!placed && id >= 7) {
      parts.push(Uint8Array.from(section));
      placed = true;
    }
    if (id !== 7 && id !== 8) parts.push(bytes);
  }
  if (!placed) parts.push(Uint8Array.from(section));
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

interface Section {
  id: number;
  content: Uint8Array;
  /** With its head. */
  bytes: Uint8Array;
}
function sectionsOf(module: Uint8Array): Section[] {
  const sections: Section[] = [];
  for (let at = 8; at < module.length; ) {
    const [size, from] = readNumber(module, at + 1);
    if (from + size > module.length) return [];
    sections.push({ id: module[at] as number, content: module.subarray(from, from + size), bytes: module.subarray(at, from + size) });
    at = from + size;
  }
  return sections;
}

/** An unsigned LEB128 number and where the next byte is. */
function readNumber(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}
function number(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) | 0x80);
  }
}
