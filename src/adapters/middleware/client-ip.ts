// Whom an address stands for: all IPv6 addresses of one /64 are one client (tollbooth's CanonicalizeIP).

/** IPv4 and anything that is no address stay as they are. */
export function canonicalIp(ip: string): string {
  const colon = ip.indexOf(':');
  const dot = ip.indexOf('.');
  if (colon < 0 || (dot >= 0 && dot < colon)) return ip;
  const groups = groupsOf(ip);
  if (groups === undefined) return ip;
  const kept = groups.slice(0, 4).map((group) => group.toString(16));
  while (kept.at(-1) === '0') kept.pop();
  return `${kept.join(':')}::`;
}

function groupsOf(ip: string): number[] | undefined {
  const halves = ip.split('::');
  if (halves.length > 2) return undefined;
  const read = (text: string): number[] | undefined => {
    if (text === '') return [];
    const groups: number[] = [];
    const parts = text.split(':');
    for (const [i, part] of parts.entries()) {
      const quad = i === parts.length - 1 ? /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(part) : null;
      if (quad) {
        const [a, b, c, d] = quad.slice(1).map(Number) as [number, number, number, number];
        if (a > 255 || b > 255 || c > 255 || d > 255) return undefined;
        groups.push(a * 256 + b, c * 256 + d);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
      else return undefined;
    }
    return groups;
  };
  const head = read(halves[0] as string);
  const tail = halves.length === 2 ? read(halves[1] as string) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...Array<number>(missing).fill(0), ...tail];
}
