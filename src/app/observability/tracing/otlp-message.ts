// Spans as OTLP's ExportTraceServiceRequest in protobuf (opentelemetry-proto, collector/trace/v1 and trace/v1).
import type { Attributes, FinishedSpan, SpanKind } from './span.ts';

/** The name of Dapr's tracer, which dashboards may look for. */
export const scopeName = 'dapr-diagnostics';
/** Version of the semantic conventions Dapr's attributes follow. */
export const schemaUrl = 'https://opentelemetry.io/schemas/1.25.0';

export function encodeExport(resource: Attributes, spans: readonly FinishedSpan[]): Uint8Array {
  const out = new Writer(1024 + spans.length * usualBytes);
  out.message(1, () => { // resource_spans
    out.message(1, () => { attributes(out, 1, resource); }); // resource
    out.message(2, () => { // scope_spans
      out.message(1, () => { out.string(1, scopeName); }); // scope
      for (const span of spans) out.message(2, () => writeSpan(out, span));
    });
    out.string(3, schemaUrl);
  });
  return out.done();
}

/** A span of an API call takes 400 to 500 bytes. */
const usualBytes = 512;
const statusError = 2;
/** Flags of a span besides the W3C's: it is known whether the parent is remote, and it is (every span of a sidecar begins with a request). */
const remoteParent = 0x300;

function writeSpan(out: Writer, span: FinishedSpan): void {
  out.hex(1, span.traceId);
  out.hex(2, span.spanId);
  out.string(3, span.tracestate);
  out.hex(4, span.parentId);
  out.string(5, span.name);
  out.varint(6, kindOf(span.kind));
  out.nanoseconds(7, span.startMs);
  out.nanoseconds(8, span.endMs);
  attributes(out, 9, span.attributes);
  out.message(15, () => {
    out.string(2, span.error);
    if (span.error !== '') out.varint(3, statusError);
  });
  out.fixed32(16, span.flags | remoteParent);
}

/** The API counts from 0 (internal), OTLP from 1. */
const kindOf = (kind: SpanKind): number => kind + 1;

function attributes(out: Writer, field: number, list: Attributes): void {
  for (const [name, value] of list) {
    out.message(field, () => {
      out.string(1, name);
      out.message(2, () => { out.string(1, value, true); });
    });
  }
}

const utf8 = new TextEncoder();
/** Of lower-case digits. */
const hexDigit = (code: number): number => (code < 0x3a ? code - 0x30 : code - 0x57);

/** Writes protobuf into one growing buffer. Empty fields are left out, as proto3 wants it. */
class Writer {
  private bytes: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private at = 0;
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  done(): Uint8Array {
    return this.bytes.subarray(0, this.at);
  }
  message(field: number, write: () => void): void {
    this.raw(field * 8 + 2);
    const start = this.at;
    write();
    const length = this.at - start;
    const room = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4;
    this.reserve(room);
    this.bytes.copyWithin(start + room, start, this.at);
    this.at = start;
    this.raw(length);
    this.at += length;
  }
  string(field: number, text: string, evenEmpty = false): void {
    if (text === '' && !evenEmpty) return;
    this.raw(field * 8 + 2);
    this.reserve(text.length * 3 + 5);
    if (text.length < 64 && this.ascii(text)) return;
    // the length is known only afterwards; most texts are short
    const { written } = utf8.encodeInto(text, this.bytes.subarray(this.at + 1));
    if (written < 0x80) {
      this.bytes[this.at] = written;
      this.at += written + 1;
      return;
    }
    const room = written < 0x4000 ? 2 : written < 0x20_0000 ? 3 : 4;
    this.bytes.copyWithin(this.at + room, this.at + 1, this.at + 1 + written);
    this.raw(written);
    this.at += written;
  }
  /** Short texts of ASCII, which most are: three times as fast as the encoder. */
  private ascii(text: string): boolean {
    const { length } = text;
    const start = this.at + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      this.bytes[start + i] = code;
    }
    this.bytes[this.at] = length;
    this.at = start + length;
    return true;
  }
  /** Bytes given as hex digits. */
  hex(field: number, digits: string): void {
    if (digits === '') return;
    this.raw(field * 8 + 2);
    this.raw(digits.length / 2);
    this.reserve(digits.length / 2);
    for (let i = 0; i < digits.length; i += 2) this.bytes[this.at++] = hexDigit(digits.charCodeAt(i)) * 16 + hexDigit(digits.charCodeAt(i + 1));
  }
  varint(field: number, value: number): void {
    if (value === 0) return;
    this.raw(field * 8);
    this.raw(value);
  }
  fixed32(field: number, value: number): void {
    this.raw(field * 8 + 5);
    this.reserve(4);
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }
  /** fixed64 */
  nanoseconds(field: number, ms: number): void {
    this.raw(field * 8 + 1);
    this.reserve(8);
    const whole = Math.floor(ms);
    this.view.setBigUint64(this.at, BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6)), true);
    this.at += 8;
  }
  private raw(value: number): void {
    this.reserve(5);
    for (; value > 0x7f; value = Math.floor(value / 128)) this.bytes[this.at++] = (value % 128) | 0x80;
    this.bytes[this.at++] = value;
  }
  private reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + more));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}
