// What an output or input binding must provide (Dapr: components-contrib/bindings).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';

export type BindingFeature = 'INPUT_BINDING' | 'OUTPUT_BINDING';

export interface InvokeRequest {
  operation: string;
  data: Uint8Array;
  metadata: Record<string, string>;
}
export interface InvokeResult {
  data: Uint8Array;
  metadata: Record<string, string>;
  /** Set where the call failed although there is an answer (bindings.http with a non-2xx): both reach the caller. */
  error?: Error;
}
export interface BindingEvent {
  data: Uint8Array;
  metadata: Record<string, string>;
}
/** Resolves with what the app answered; rejects when the app refused the event. */
export type EventHandler = (event: BindingEvent, context: CallContext) => Promise<Uint8Array | undefined>;

export interface Binding extends Closable {
  /** OUTPUT_BINDING. */
  readonly operations?: readonly string[];
  /** Result null: nothing to answer (204). */
  invoke?(request: InvokeRequest, context: CallContext): Promise<InvokeResult | null>;
  /** INPUT_BINDING. Returns what stops the reading. */
  read?(handler: EventHandler): Promise<{ close(): Promise<void> }>;
}

type Methods<F extends BindingFeature> = ('OUTPUT_BINDING' extends F ? Required<Pick<Binding, 'invoke' | 'operations'>> : unknown) & ('INPUT_BINDING' extends F ? Required<Pick<Binding, 'read'>> : unknown);

export const defineBinding = <M, const F extends BindingFeature>(definition: Omit<Definition<Binding, M, F>, 'block' | 'open'> & { open(...args: Parameters<Definition<Binding, M, F>['open']>): Promise<Binding & Methods<F>> }): Definition<Binding, M, F> => ({ block: 'bindings', ...definition });
