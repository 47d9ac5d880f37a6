// The XML of Azure Storage's answers, as far as it goes: elements with text, and lists of them.

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export const unescapeXml = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex: string | undefined, decimal: string | undefined, name: string | undefined) => {
    if (name !== undefined) return entities[name] ?? whole;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
/** A line end is written as a reference, because a parser would change it. */
export const escapeXml = (text: string): string => text.replace(/[&<>"'\r]/g, (c) => `&#${c.charCodeAt(0)};`);

/** What stands inside the elements of that name, one after the other, not unescaped. */
export const elementsOf = (xml: string, name: string): string[] => Array.from(xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*[^/>]|\\s*)?>([\\s\\S]*?)</${name}>`, 'g')), ([, inside]) => inside as string);

/** Text of the first element of that name; undefined where there is none, '' where it is empty. */
export function fieldOf(xml: string, name: string): string | undefined {
  const [first] = elementsOf(xml, name);
  if (first !== undefined) return unescapeXml(first);
  return new RegExp(`<${name}\\s*/>`).test(xml) ? '' : undefined;
}
