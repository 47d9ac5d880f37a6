// Sizes on the command line: Kubernetes resource quantities (`4Mi`, `1k`, `+2e3`, `4194304`) as whole bytes.

const decimal: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binary: Record<string, bigint> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/**
 * Bytes of a quantity. What daprd cannot turn into whole bytes is refused, and so is a fraction with a binary suffix even
 * where it would be whole (`0.5Ki`). Source: k8s.io/apimachinery/pkg/api/resource/quantity.go.
 */
export function parseQuantity(text: string): { bytes: number } | { error: string } {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?((?:[eE][+-]?\d+)|[eEinumkKMGTP]*)$/.exec(text);
  if (!match || !/^[+-]?[0-9.]/.test(text)) return { error: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'" };
  const [, sign, digits = '', fraction = '', suffix = ''] = match;
  const unscaled = BigInt(`${digits}${fraction}` || '0');
  const noBytes = { error: `cannot get bytes from resource quantity value '${text}'` };

  let value: bigint;
  if (suffix in binary) {
    if (fraction !== '' && unscaled !== 0n) return noBytes;
    value = unscaled << (binary[suffix] as bigint);
  } else {
    const exponent = /^[eE][+-]?\d+$/.test(suffix) ? Number(suffix.slice(1)) : suffix in decimal ? decimal[suffix] : undefined;
    if (exponent === undefined) return { error: "unable to parse quantity's suffix" };
    const scale = exponent - fraction.length;
    // a quantity that keeps a negative scale (1500m, 1.0) has no bytes for daprd, whole or not
    if (unscaled !== 0n && (scale < 0 || scale > 30)) return noBytes;
    value = unscaled * 10n ** BigInt(unscaled === 0n ? 0 : scale);
  }
  if (sign === '-') value = -value;
  if (value > 2n ** 63n - 1n || value < -(2n ** 63n)) return noBytes;
  return { bytes: Number(value) };
}
