// Standard base64 with padding, as Go's StdEncoding writes it.

// Not in the type library yet; Node 25, Bun and Deno have them, older ones take the way through atob.
type Native = { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
type NativeBytes = Uint8Array & { toBase64?(): string };

export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBytes).toBase64;
  if (native !== undefined) return native.call(bytes);
  let binary = '';
  // String.fromCharCode takes no more arguments than the stack holds.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

/** Throws an Error where the text is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as unknown as Native).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
