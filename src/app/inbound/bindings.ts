// The app's side of input bindings over HTTP: asking whether it wants them, delivering events (Dapr: pkg/runtime/processor/binding/send.go).
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { BindingApp } from '../../blocks/bindings/inputs.ts';
import { StatusFailure } from '../../blocks/resiliency/failures.ts';
import { readBody } from '../../core/body.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { RawHeaders } from '../../core/host.ts';
import { errorOfStatus } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { metadataHeaders, traceHeaders } from './event-headers.ts';
import { requestTarget } from './request-target.ts';

export interface BindingAppOptions extends TracingRules {
  channel: AppChannel;
  /** How long the app may take to say whether it wants a binding. */
  optionsTimeoutMs: number;
}

export function createBindingApp({ channel, optionsTimeoutMs, ...tracing }: BindingAppOptions): BindingApp {
  return {
    wants: async (route) => {
      try {
        const signal = AbortSignal.timeout(optionsTimeoutMs);
        const { status, body } = await channel.send({ method: 'OPTIONS', path: requestTarget(route), headers: ['Content-Type', 'application/json'], body: null }, { ...background, signal });
        if (body instanceof ReadableStream) await body.cancel();
        return (status >= 200 && status <= 299) || status === 405;
      } catch (error) {
        throw new Error(`could not invoke OPTIONS method on input binding subscription endpoint "${route}": ${textOf(error)}`, { cause: error });
      }
    },
    deliver: async ({ data, metadata }, { name, route }, context) => {
      const headers: RawHeaders = ['Content-Type', 'application/json'];
      metadataHeaders(metadata, headers);
      const span = traceHeaders({ traceparent: metadata.traceparent ?? '' }, metadata, tracing, `bindings/${name}`, headers);
      const ended = (error: string) => span?.end({ attributes: [['db.name', name], ['rpc.service', 'Dapr'], ['db.system', 'bindings'], ['db.connection_string', `POST /${name}`]], error });
      let status: number;
      let bytes: Uint8Array;
      try {
        const response = await channel.send({ method: 'POST', path: requestTarget(route), headers, body: data }, context);
        status = response.status;
        ended(errorOfStatus(status));
        bytes = (await readBody(response.body)).bytes;
      } catch (error) {
        ended(textOf(error));
        throw new Error(`error invoking app: ${textOf(error)}`, { cause: error });
      }
      if (status < 200 || status > 299) throw new StatusFailure(status, `fails to send binding event to http app channel, status code: ${status} body: ${textOfBytes(bytes)}`);
      return bytes;
    },
  };
}
