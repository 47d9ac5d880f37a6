// Counting over the last so many milliseconds, in buckets that begin at multiples of their length (Sentinel's LeapArray).

export interface Window<K extends string> {
  add(name: K, value: number, now: number): void;
  /** Over all buckets that are not too old. */
  sum(name: K, now: number): number;
  /** Of the bucket before the current one. */
  previous(name: K, now: number): number;
  clear(): void;
}

export function createWindow<K extends string>(intervalMs: number, buckets: number): Window<K> {
  const length = intervalMs / buckets;
  const ring: { start: number; counts: Partial<Record<K, number>> }[] = [];
  const startOf = (now: number) => now - (now % length);
  return {
    add: (name, value, now) => {
      const start = startOf(now);
      const at = Math.floor(now / length) % buckets;
      let bucket = ring[at];
      if (bucket === undefined || bucket.start !== start) ring[at] = bucket = { start, counts: {} };
      bucket.counts[name] = (bucket.counts[name] ?? 0) + value;
    },
    sum: (name, now) => ring.reduce((total, bucket) => (bucket !== undefined && now - bucket.start <= intervalMs && bucket.start <= now ? total + (bucket.counts[name] ?? 0) : total), 0),
    previous: (name, now) => {
      const start = startOf(now) - length;
      return ring.find((bucket) => bucket?.start === start)?.counts[name] ?? 0;
    },
    clear: () => { ring.length = 0; },
  };
}
