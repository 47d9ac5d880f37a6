// What a WebAssembly guest gets of WASI (snapshot preview 1): time, randomness and somewhere to print. No files, no arguments, no environment.

export class GuestExit extends Error {
  override name = 'GuestExit';
  readonly code: number;
  constructor(code: number) {
    super(`the guest ended itself with exit code ${code}`);
    this.code = code;
  }
}

const [ok, badHandle, notSupported, notSeekable] = [0, 8, 52, 70];
type Import = (...args: never[]) => number | undefined;

export interface Sandbox {
  /** Clocks that only count how often they are asked, and random numbers that are none. */
  strict: boolean;
  print(stream: 'stdout' | 'stderr', text: string): void;
}

/** The functions a guest may import; what is not there answers ENOSYS. `memory` is asked for when the guest runs. */
export function wasiImports(names: readonly string[], memory: () => WebAssembly.Memory, { strict, print }: Sandbox): Record<string, Import> {
  const view = () => new DataView(memory().buffer);
  const bytes = () => new Uint8Array(memory().buffer);
  let ticks = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n;
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed >>> 16;
  };
  const now = (clock: number): bigint => {
    if (strict) return (ticks += 1_000_000n);
    return clock === 0 ? BigInt(Date.now()) * 1_000_000n : BigInt(Math.round(performance.now() * 1_000_000));
  };
  const none = (count: number, size: number) => {
    view().setUint32(count, 0, true);
    view().setUint32(size, 0, true);
    return ok;
  };
  const known: Record<string, (...args: number[]) => number | undefined> = {
    args_sizes_get: (count, size) => none(count as number, size as number),
    environ_sizes_get: (count, size) => none(count as number, size as number),
    args_get: () => ok,
    environ_get: () => ok,
    clock_res_get: (_clock, at) => { view().setBigUint64(at as number, 1_000_000n, true); return ok; },
    sched_yield: () => ok,
    fd_close: () => ok,
    fd_read: (_handle, _vectors, _count, read) => { view().setUint32(read as number, 0, true); return ok; },
    fd_seek: () => notSeekable,
    fd_prestat_get: () => badHandle,
    fd_prestat_dir_name: () => badHandle,
    fd_filestat_get: () => badHandle,
    fd_fdstat_set_flags: () => ok,
    fd_fdstat_get: (handle, at) => {
      if ((handle as number) > 2) return badHandle;
      bytes().fill(0, at as number, (at as number) + 24);
      view().setUint8(at as number, 2); // a character device
      return ok;
    },
    fd_write: (handle, vectors, count, written) => {
      if (handle !== 1 && handle !== 2) return badHandle;
      let text = '';
      let total = 0;
      for (let i = 0; i < (count as number); i++) {
        const start = view().getUint32((vectors as number) + i * 8, true);
        const length = view().getUint32((vectors as number) + i * 8 + 4, true);
        text += new TextDecoder().decode(bytes().slice(start, start + length));
        total += length;
      }
      print(handle === 1 ? 'stdout' : 'stderr', text);
      view().setUint32(written as number, total, true);
      return ok;
    },
    random_get: (at, length) => {
      const target = new Uint8Array(length as number);
      if (strict) target.forEach((_, i) => { target[i] = random(); });
      else for (let i = 0; i < target.length; i += 65_536) crypto.getRandomValues(target.subarray(i, i + 65_536));
      bytes().set(target, at);
      return ok;
    },
    proc_exit: (code) => { throw new GuestExit(code as number); },
  };
  const imports: Record<string, Import> = {};
  for (const name of names) imports[name] = known[name] ?? (() => notSupported);
  // its second argument is 64 bits wide
  if (names.includes('clock_time_get')) imports.clock_time_get = ((clock: number, _precision: bigint, at: number) => { view().setBigUint64(at, now(clock), true); return ok; }) as unknown as Import;
  return imports;
}
