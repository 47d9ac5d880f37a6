// A Rego policy, read and checked: what `data.<package>.<rule>` is for an input.
import { builtinArity, createBuiltins, type Compile } from './builtins.ts';
import { createEvaluator } from './evaluate.ts';
import { parseModule } from './parser.ts';
import { resolveModule } from './resolve.ts';
import { orderRule } from './safety.ts';
import { fromJson, toJson } from './value.ts';

export interface Policy {
  /** As JSON; undefined where the rule has no value. Throws RegoError where the evaluation fails. */
  evaluate(rule: string, input: unknown): unknown;
  /** `http` of `package http`. */
  readonly package: string;
}

/** Throws RegoError, in OPA's form, for what cannot be read, is unsafe, recursive, or uses a function that is not there. */
export function readPolicy(source: string, compile: Compile): Policy {
  const builtins = createBuiltins(compile);
  const module = parseModule(source);
  const rules = resolveModule(module, builtinArity).map(orderRule);
  const value = createEvaluator(module.package, rules, builtins);
  return {
    package: module.package.join('.'),
    evaluate: (rule, input) => {
      const result = value(rule, fromJson(input));
      return result === undefined ? undefined : toJson(result);
    },
  };
}
