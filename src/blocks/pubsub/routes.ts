// Routing rules of a subscription: which path of the app an event goes to (dapr/pkg/runtime/subscription/subscription.go, findMatchingRoute).
import { compileCel } from '../../core/cel.ts';
import type { RouteRule } from '../resources/kinds.ts';

export interface Routes {
  /** False where every event goes the same way. */
  readonly readEvents: boolean;
  /**
   * The path of the first rule that is true for an event (the parsed CloudEvent, or the text of a raw message in bulk), undefined where none is.
   * Throws where a rule cannot be evaluated or is no boolean: rules after it are not asked.
   */
  pathOf(event: unknown): string | undefined;
}

/** Rejects with a CelError where a rule is no expression. */
export async function compileRoutes(rules: readonly RouteRule[]): Promise<Routes> {
  const end = rules.findIndex(({ match }) => match === '');
  // no rule behind one without a match is ever reached, yet all must be expressions
  const all = await Promise.all(rules.map(async ({ match, path }) => ({ path, expression: match === '' ? undefined : await compileCel(match) })));
  const reachable = end < 0 ? all : all.slice(0, end + 1);
  const [first] = reachable;
  if (first?.expression === undefined) return { readEvents: false, pathOf: () => first?.path };
  return {
    readEvents: true,
    pathOf: (event) => {
      const variables = { event };
      for (const { path, expression } of reachable) {
        if (expression === undefined) return path;
        const value = expression.evaluate(variables);
        if (typeof value !== 'boolean') throw new Error(`the result of match expression ${expression.text} was not a boolean`);
        if (value) return path;
      }
      return undefined;
    },
  };
}

/** Rejects with the CelError of the first rule that is no expression. */
export async function checkRules(subscriptions: readonly { rules: readonly RouteRule[] }[]): Promise<void> {
  for (const { rules } of subscriptions) await compileRoutes(rules);
}
