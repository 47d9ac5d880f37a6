// The syntax tree of Rego, the policy language of Open Policy Agent: what the parser makes, the checker puts in order and the evaluator walks.
import type { Value } from './value.ts';

export type Term =
  | { kind: 'value'; value: Value }
  | { kind: 'var'; name: string }
  /** `head.a["b"][i]` */
  | { kind: 'ref'; head: Term; path: Term[] }
  /** `f(x)`; infix operators are calls too: `plus(a, b)`. */
  | { kind: 'call'; name: string; args: Term[] }
  | { kind: 'array' | 'set'; items: Term[] }
  | { kind: 'object'; items: (readonly [Term, Term])[] }
  | { kind: 'arrayOf' | 'setOf'; item: Term; body: Body }
  | { kind: 'objectOf'; key: Term; item: Term; body: Body };

export type Statement =
  | { kind: 'term'; term: Term }
  /** `a = b`, `a := b` */
  | { kind: 'unify'; left: Term; right: Term; declares: boolean }
  /** `some x, y` */
  | { kind: 'some'; names: string[] }
  /** `some k, v in xs` */
  | { kind: 'someIn'; key: Term | undefined; value: Term; of: Term }
  | { kind: 'every'; key: string | undefined; value: string; of: Term; body: Body };

export interface Literal {
  statement: Statement;
  negated: boolean;
  /** `with input.x as y` */
  with: { target: string[]; value: Term }[];
  line: number;
}
export type Body = Literal[];

export interface Rule {
  name: string;
  /** complete: `name = value`; set: `name[key]`, `name contains key`; object: `name[key] = value`; function: `name(args) = value`. */
  kind: 'complete' | 'set' | 'object' | 'function';
  args: Term[];
  key: Term | undefined;
  value: Term;
  body: Body;
  /** `else = value { body }`, tried in order where the body before has no solution. */
  others: { value: Term; body: Body }[];
  isDefault: boolean;
  line: number;
}

export interface Module {
  package: string[];
  /** Name it goes by here → what it stands for: `data.x.y`, `input.x`. */
  imports: Map<string, string[]>;
  rules: Rule[];
}
