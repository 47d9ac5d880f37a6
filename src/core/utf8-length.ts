// How many bytes a text has in UTF-8, without making them.

export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) bytes += 1;
    else if (code < 0xd800 || code > 0xdbff || i + 1 === text.length || (text.charCodeAt(i + 1) & 0xfc00) !== 0xdc00) bytes += 2; // a lone half becomes U+FFFD
    else {
      bytes += 2;
      i++;
    }
  }
  return bytes;
}
