// Output bindings: what the app asks of the outside world (Dapr: pkg/runtime/processor/binding/send.go).
import type { CallContext } from '../../core/context.ts';
import { type DaprError, fail, textOf } from '../../core/errors.ts';
import type { ComponentStore } from '../components/store.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { worksAs } from './direction.ts';
import type { Binding, InvokeRequest, InvokeResult } from './port.ts';

export interface InvokeOutcome {
  /** null: the binding has nothing to answer. */
  data: Uint8Array | null;
  /** Reaches the caller with an error too. */
  metadata: Record<string, string>;
  error?: DaprError;
}

export interface BindingsBlock {
  /** Throws bindingInvoke when there is no answer at all. */
  invoke(name: string, request: InvokeRequest, context: CallContext): Promise<InvokeOutcome>;
}

export function createBindingsBlock({ components, resiliency }: { components: ComponentStore; resiliency?: Resiliency }): BindingsBlock {
  return {
    invoke: async (name, request, context) => {
      const refuse = (error: string, cause?: unknown) => fail('bindingInvoke', { name, error }, { cause });
      const { operation } = request;
      if (operation === '') throw refuse('operation field is missing from request');
      const loaded = components.bindings.get(name);
      const operations = loaded?.port.operations;
      if (loaded?.port.invoke === undefined || operations === undefined || !worksAs('output', loaded.properties)) throw refuse(`couldn't find output binding ${name}`);
      if (!operations.includes(operation)) throw refuse(`binding ${name} does not support operation ${operation}. supported operations:${operations.join(' ')}`);
      try {
        const policy = resiliency?.outbound(name, 'Binding');
        const { port } = loaded as { port: Required<Binding> };
        const result = await (policy ? policy.run(context, (limited) => tried(port.invoke(request, limited))).catch(answerOf) : port.invoke(request, context));
        if (result === null) return { data: null, metadata: {} };
        const { data, metadata, error } = result;
        return error === undefined ? { data, metadata } : { data, metadata, error: refuse(textOf(error), error) };
      } catch (error) {
        throw refuse(textOf(error), error);
      }
    },
  };
}

/** A failure that has an answer: for policies it is one, and the answer of the last try reaches the caller. */
class Answered extends Error {
  readonly result: InvokeResult;
  constructor(result: InvokeResult, error: Error) {
    super(error.message, { cause: error });
    this.result = result;
  }
}
async function tried(answer: Promise<InvokeResult | null>): Promise<InvokeResult | null> {
  const result = await answer;
  if (result?.error !== undefined) throw new Answered(result, result.error);
  return result;
}
function answerOf(error: unknown): InvokeResult {
  if (error instanceof Answered) return error.result;
  throw error;
}
