// The content type Go's HTTP server guesses for an answer that has none, from the first 512 bytes (net/http DetectContentType, the WHATWG sniffing table).

const limit = 512;

const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** Tags as `<HTML`, followed by a blank or `>`. */
const tags = ['<!DOCTYPE HTML', '<HTML', '<HEAD', '<SCRIPT', '<IFRAME', '<H1', '<DIV', '<FONT', '<TABLE', '<A', '<STYLE', '<TITLE', '<B', '<BODY', '<BR', '<P', '<!--'].map(latin);
/** Beginnings, in the table's order; a dot in a masked pattern stands for any byte. */
const exact: [pattern: string, type: string][] = [
  ['%PDF-', 'application/pdf'], ['%!PS-Adobe-', 'application/postscript'],
  ['\xfe\xff..', 'text/plain; charset=utf-16be'], ['\xff\xfe..', 'text/plain; charset=utf-16le'], ['\xef\xbb\xbf.', 'text/plain; charset=utf-8'],
  ['\x00\x00\x01\x00', 'image/x-icon'], ['\x00\x00\x02\x00', 'image/x-icon'], ['BM', 'image/bmp'], ['GIF87a', 'image/gif'], ['GIF89a', 'image/gif'],
  ['RIFF....WEBPVP', 'image/webp'], ['\x89PNG\r\n\x1a\n', 'image/png'], ['\xff\xd8\xff', 'image/jpeg'],
  ['FORM....AIFF', 'audio/aiff'], ['ID3', 'audio/mpeg'], ['OggS\x00', 'application/ogg'], ['MThd\x00\x00\x00\x06', 'audio/midi'],
  ['RIFF....AVI ', 'video/avi'], ['RIFF....WAVE', 'audio/wave'],
];
const afterMp4: [pattern: string, type: string][] = [
  ['\x1a\x45\xdf\xa3', 'video/webm'], [`${'.'.repeat(34)}LP`, 'application/vnd.ms-fontobject'], ['\x00\x01\x00\x00', 'font/ttf'], ['OTTO', 'font/otf'], ['ttcf', 'font/collection'], ['wOFF', 'font/woff'], ['wOF2', 'font/woff2'],
  ['\x1f\x8b\x08', 'application/x-gzip'], ['PK\x03\x04', 'application/zip'], ['Rar!\x1a\x07\x00', 'application/x-rar-compressed'], ['Rar!\x1a\x07\x01\x00', 'application/x-rar-compressed'], ['\x00\x61\x73\x6d', 'application/wasm'],
];

const isBlank = (byte: number | undefined) => byte === 0x09 || byte === 0x0a || byte === 0x0c || byte === 0x0d || byte === 0x20;

function begins(data: Uint8Array, pattern: string): boolean {
  if (data.length < pattern.length) return false;
  for (let i = 0; i < pattern.length; i++) if (pattern[i] !== '.' && data[i] !== pattern.charCodeAt(i)) return false;
  return true;
}

function beginsWithTag(data: Uint8Array, start: number, tag: Uint8Array): boolean {
  if (data.length < start + tag.length + 1) return false;
  for (let i = 0; i < tag.length; i++) {
    const wanted = tag[i] as number;
    let byte = data[start + i] as number;
    if (wanted >= 0x41 && wanted <= 0x5a) byte &= 0xdf;
    if (byte !== wanted) return false;
  }
  const next = data[start + tag.length];
  return next === 0x20 || next === 0x3e;
}

/** An `ftyp` box that names an mp4 brand. */
function isMp4(data: Uint8Array): boolean {
  if (data.length < 12) return false;
  const size = new DataView(data.buffer, data.byteOffset).getUint32(0);
  if (size % 4 !== 0 || data.length < size || !begins(data.subarray(4), 'ftyp')) return false;
  for (let at = 8; at < size; at += 4) if (at !== 12 && begins(data.subarray(at), 'mp4')) return true;
  return false;
}

export function sniffContentType(body: Uint8Array): string {
  const data = body.subarray(0, limit);
  let start = 0;
  while (start < data.length && isBlank(data[start])) start++;
  if (tags.some((tag) => beginsWithTag(data, start, tag))) return 'text/html; charset=utf-8';
  if (begins(data.subarray(start), '<?xml')) return 'text/xml; charset=utf-8';
  for (const [pattern, type] of exact) if (begins(data, pattern)) return type;
  if (isMp4(data)) return 'video/mp4';
  for (const [pattern, type] of afterMp4) if (begins(data, pattern)) return type;
  for (let i = start; i < data.length; i++) {
    const byte = data[i] as number;
    if (byte <= 0x08 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f)) return 'application/octet-stream';
  }
  return 'text/plain; charset=utf-8';
}
