// HTTP route of output bindings.
import { baggageProblem } from '../../core/baggage.ts';
import { fail } from '../../core/errors.ts';
import { any, GoJsonError, parseFirst, string, stringMap, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import { type Exact, printExact } from '../../core/json-exact.ts';
import { BodyBroken, BodyTooLarge, type RawHeaders } from '../../core/host.ts';
import { readTraceparent, type TracingMode } from '../../core/traceparent.ts';
import type { BindingsBlock } from '../../blocks/bindings/bindings.ts';
import { canonical } from '../../blocks/invoke/headers.ts';
import { answer, bodyBytes, empty, type Handler, header, type HttpCall, type Route, segment } from './call.ts';

const body = struct('http.OutputBindingRequest', { metadata: stringMap, data: any, operation: string });

export function bindingsRoutes(bindings: BindingsBlock, { tracing }: { tracing: TracingMode }): Route[] {
  const invoke: Handler = async (call) => {
    const name = segment(call, 2);
    const { operation, data, metadata } = await read(call);
    const baggage = baggageOf(call);
    const request = { operation, data: utf8(printExact((data ?? null) as Exact)), metadata: { ...metadata, ...traceOf(call, tracing), ...(baggage === '' ? {} : { baggage }) } };
    const outcome = await bindings.invoke(name, request, call.context);
    const told: RawHeaders = [];
    for (const key in outcome.metadata) pushHeader(told, `metadata.${key}`, outcome.metadata[key] as string);
    call.extra = call.extra.concat(told);
    if (outcome.error !== undefined) throw outcome.error;
    return outcome.data === null ? empty(call) : answer(call, 200, ['Content-Type', 'application/json'], outcome.data);
  };
  return [{ methods: ['POST', 'PUT'], path: 'v1.0/bindings/:name', name: 'InvokeBinding', group: 'bindings/v1', handler: invoke }];
}

async function read(call: HttpCall) {
  try {
    return body.read(parseFirst(textOfBytes(await bodyBytes(call))), '');
  } catch (error) {
    if (error instanceof GoJsonError || error instanceof BodyTooLarge || error instanceof BodyBroken) throw fail('malformedBody', { error: error.message });
    throw error;
  }
}

/** What the binding is told of the trace: the span of this call, or the caller's where no spans are made. */
function traceOf(call: HttpCall, tracing: TracingMode): Record<string, string> {
  const { traceparent, tracestate } = call.context;
  const known = tracing === 'spans' ? traceparent : tracing === 'echo' ? readTraceparent(header(call, 'traceparent')) : undefined;
  if (known === undefined) return {};
  return { traceparent: known, ...(tracestate === '' ? {} : { tracestate }) };
}

/** All baggage headers together. With tracing on, the gate has refused bad ones already. */
function baggageOf(call: HttpCall): string {
  const { headers } = call.incoming;
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() === 'baggage') values.push(headers[i + 1] as string);
  const baggage = values.join(',');
  if (baggage !== '' && baggageProblem(baggage) !== undefined) throw fail('malformedRequest', { error: `invalid baggage header: ${baggage}` });
  return baggage;
}

/** A name that is no header is left out; line breaks in a value become blanks, text beyond ASCII goes out as UTF-8. */
function pushHeader(list: RawHeaders, name: string, value: string): void {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return;
  const clean = value.replace(/[\r\n]/g, ' ').replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '').trim();
  list.push(canonical(name), /^[\x00-\xff]*$/.test(clean) ? clean : Array.from(utf8(clean), (byte) => String.fromCharCode(byte)).join(''));
}
