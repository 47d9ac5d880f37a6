// How the content type of a published message decides its place in the CloudEvents envelope (components-contrib/contenttype).

/** The whole value, or the part before the first `;` untrimmed: `application/json ; x` is not JSON. */
function is(contentType: string, wanted: string): boolean {
  const lower = contentType.toLowerCase();
  if (lower === wanted) return true;
  const end = lower.indexOf(';');
  return end >= 0 && lower.slice(0, end) === wanted;
}

export const isCloudEvent = (contentType: string): boolean => is(contentType, 'application/cloudevents+json');
/** Vendor `+json` types do not count. */
export const isJson = (contentType: string): boolean => contentType === 'application/json' || is(contentType, 'application/json');
export const isBinary = (contentType: string): boolean => is(contentType, 'application/octet-stream');
export const isText = (contentType: string): boolean => contentType.slice(0, 5).toLowerCase() === 'text/' || is(contentType, 'application/xml');

/** `application/x-protobuf` counts only where the bytes are a CloudEvent in protobuf. */
export const isProtobufEvent = (contentType: string, data: Uint8Array): boolean =>
  is(contentType, 'application/cloudevents+protobuf') || (is(contentType, 'application/x-protobuf') && isProtobufCloudEvent(data));

/**
 * io.cloudevents.v1.CloudEvent: id=1, source=2, spec_version=3 and type=4 are texts, so is text_data=7.
 * As lenient as the protobuf library: no field is required, unknown ones are passed over.
 */
function isProtobufCloudEvent(data: Uint8Array): boolean {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = data[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < data.length) {
    const tag = varint();
    const field = Math.floor(tag / 8), wire = tag % 8;
    if (Number.isNaN(tag) || field === 0) return false;
    if (wire === 2) {
      const length = varint();
      if (!(at + length <= data.length)) return false;
      if ((field <= 4 || field === 7) && !isUtf8(data.subarray(at, at + length))) return false;
      at += length;
    } else if (wire === 0) {
      if (Number.isNaN(varint())) return false;
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else return false;
  }
  return at === data.length;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** The text of bytes, undefined where they are not UTF-8. */
export function strictText(data: Uint8Array): string | undefined {
  try {
    return strict.decode(data);
  } catch {
    return undefined;
  }
}
const isUtf8 = (data: Uint8Array) => strictText(data) !== undefined;
