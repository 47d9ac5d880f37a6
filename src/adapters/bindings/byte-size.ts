// Sizes in component metadata as Kubernetes writes quantities: 100Mi, 1k, 0.5Gi.

const units: Readonly<Record<string, number>> = { '': 1, n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };

/** Bytes, rounded up; undefined where the text is no quantity. */
export function byteSize(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/.exec(text.trim());
  if (match === null) return undefined;
  return Math.ceil(Number(`${match[1]}${match[2] ?? ''}`) * (units[match[3] ?? ''] as number));
}
