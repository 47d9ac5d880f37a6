// The bytes of small WebAssembly modules: functions without parameters or with two, one memory, texts in it.
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];
const number = (value: number): number[] => (value < 128 ? [value] : [(value % 128) | 0x80, ...number(Math.floor(value / 128))]);
const vector = (items: readonly number[][]): number[] => [...number(items.length), ...items.flat()];
const named = (text: string): number[] => [...number(text.length), ...bytesOf(text)];
const section = (id: number, content: number[]): number[] => [id, ...number(content.length), ...content];
const [i32, i64] = [0x7f, 0x7e];
const types = { i32, i64 } as const;
export type Type = keyof typeof types;
const signature = (from: readonly Type[], to: readonly Type[]): number[] => [0x60, ...vector(from.map((type) => [types[type]])), ...vector(to.map((type) => [types[type]]))];

export const code = {
  i32: (value: number): number[] => [0x41, ...signed(value)],
  i64: (value: number): number[] => [0x42, ...signed(value)],
  call: (index: number): number[] => [0x10, ...number(index)],
  drop: [0x1a],
  trap: [0x00],
};
function signed(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    const low = rest & 0x7f;
    const over = rest >> 7;
    if ((over === 0 && (low & 0x40) === 0) || (over === -1 && (low & 0x40) !== 0)) return [...out, low];
    out.push(low | 0x80);
  }
}

export interface ModuleText {
  imports: { name: string; from: Type[]; to: Type[] }[];
  /** Exported by name; `start` is run by the start section instead. */
  functions: Record<string, { from?: Type[]; to?: Type[]; code: number[] }>;
  /** Offset → text in memory. */
  data: Record<number, string>;
}

export function wasmModule({ imports, functions, data }: ModuleText): Uint8Array<ArrayBuffer> {
  const own = Object.entries(functions);
  const all = [...imports.map(({ from, to }) => signature(from, to)), ...own.map(([, { from = [], to = [] }]) => signature(from, to))];
  const start = own.findIndex(([name]) => name === 'start');
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector(all)),
    ...section(2, vector(imports.map(({ name }, i) => [...named('http_handler'), ...named(name), 0, ...number(i)]))),
    ...section(3, vector(own.map((_, i) => number(imports.length + i)))),
    ...section(5, vector([[0, 1]])),
    ...section(7, vector([[...named('memory'), 2, 0], ...own.flatMap(([name], i) => (name === 'start' ? [] : [[...named(name), 0, ...number(imports.length + i)]]))])),
    ...(start < 0 ? [] : section(8, number(imports.length + start))),
    ...section(10, vector(own.map(([, { code: body }]) => { const content = [0, ...body, 0x0b]; return [...number(content.length), ...content]; }))),
    ...section(11, vector(Object.entries(data).map(([at, text]) => [0, ...code.i32(Number(at)), 0x0b, ...number(bytesOf(text).length), ...bytesOf(text)]))),
  ]);
}
