// The order in which the statements of a Rego body can be evaluated: each variable is bound before it is needed. Bodies without such an order are refused, as by OPA.
import type { Body, Literal, Rule, Statement, Term } from './ast.ts';
import { problem } from './lexer.ts';
import { patternVariables } from './resolve.ts';

type Names = ReadonlySet<string>;
interface Use {
  /** Must be bound before. */
  needs: Set<string>;
  /** Are bound by it. */
  binds: Set<string>;
}
const isLocal = (name: string): boolean => name !== 'input' && name !== 'data';
const isWildcard = (name: string): boolean => name.startsWith('$');

export function orderRule(rule: Rule): Rule {
  const args = new Set(rule.args.flatMap(patternVariables));
  const ordered = (body: Body, ...heads: (Term | undefined)[]): Body => {
    const bound = new Set(args);
    const outside = new Set([...args, ...variablesOf(body)]);
    const result = order(body, bound, outside, rule.line);
    for (const head of heads) if (head) checkBound(head, bound, outside, rule.line);
    return result;
  };
  return { ...rule, body: ordered(rule.body, rule.key, rule.value), others: rule.others.map((other) => ({ value: other.value, body: ordered(other.body, other.value) })) };
}

/** Adds to `bound` what the body binds. `outside`: the variables that bodies inside share with this one. */
function order(body: Body, bound: Set<string>, outside: Names, line: number): Body {
  const left = [...body];
  const result: Body = [];
  while (left.length > 0) {
    const at = left.findIndex((literal) => unmet(literal, bound, outside).length === 0);
    if (at < 0) {
      const literal = left[0] as Literal;
      throw problem(literal.line || line, 'rego_unsafe_var_error', `var ${(unmet(literal, bound, outside)[0] ?? '_').replace(/[#$].*/, '') || '_'} is unsafe`);
    }
    const [literal] = left.splice(at, 1) as [Literal];
    const { binds } = useOf(literal, bound, outside);
    result.push(withOrderedBodies(literal, bound, outside));
    for (const name of binds) bound.add(name);
  }
  return result;
}

function checkBound(term: Term, bound: Names, outside: Names, line: number): void {
  const { needs, binds } = ofTerm(term, bound, outside);
  const [name] = [...needs, ...binds].filter((used) => !bound.has(used));
  if (name !== undefined) throw problem(line, 'rego_unsafe_var_error', `var ${name.replace(/[#$].*/, '') || '_'} is unsafe`);
  withOrderedBodiesIn(term, bound, outside);
}

const unmet = (literal: Literal, bound: Names, outside: Names): string[] => [...useOf(literal, bound, outside).needs].filter((name) => !bound.has(name));

function useOf(literal: Literal, bound: Names, outside: Names): Use {
  const use = ofStatement(literal.statement, bound, outside);
  for (const { value } of literal.with) join(use, ofTerm(value, bound, outside));
  if (!literal.negated) return use;
  // what `not` tries leaves nothing behind
  return { needs: new Set([...use.needs, ...[...use.binds].filter((name) => !isWildcard(name))]), binds: new Set() };
}

function ofStatement(statement: Statement, bound: Names, outside: Names): Use {
  switch (statement.kind) {
    case 'term': return ofTerm(statement.term, bound, outside);
    case 'some': return { needs: new Set(), binds: new Set() };
    case 'unify': return ofUnify(statement.left, statement.right, bound, outside);
    case 'someIn': {
      const use = ofTerm(statement.of, bound, outside);
      for (const pattern of [statement.key, statement.value]) if (pattern) join(use, ofPattern(pattern, bound, outside));
      return use;
    }
    case 'every': {
      const use = ofTerm(statement.of, bound, outside);
      const own = new Set([statement.value, ...(statement.key === undefined ? [] : [statement.key])]);
      for (const name of variablesOf(statement.body)) if (outside.has(name) && !own.has(name)) use.needs.add(name);
      return use;
    }
  }
}

/** A term that takes a value: its variables are bound by it, what else it holds is needed. */
function ofPattern(term: Term, bound: Names, outside: Names): Use {
  const use: Use = { needs: new Set(), binds: new Set() };
  if (term.kind === 'var') (isLocal(term.name) && !bound.has(term.name) ? use.binds : use.needs).add(term.name);
  else if (term.kind === 'array') for (const item of term.items) join(use, ofPattern(item, bound, outside));
  else if (term.kind === 'object') {
    for (const [key, item] of term.items) {
      join(use, ofTerm(key, bound, outside));
      join(use, ofPattern(item, bound, outside));
    }
  } else return ofTerm(term, bound, outside);
  for (const name of use.needs) if (!isLocal(name)) use.needs.delete(name);
  return use;
}

function ofUnify(left: Term, right: Term, bound: Names, outside: Names): Use {
  if (left.kind === 'array' && right.kind === 'array' && left.items.length === right.items.length) {
    const use: Use = { needs: new Set(), binds: new Set() };
    for (const [i, item] of left.items.entries()) join(use, ofUnify(item, right.items[i] as Term, bound, outside));
    return use;
  }
  const open = (term: Term) => [...ofTerm(term, bound, outside).needs].filter((name) => !bound.has(name));
  for (const [pattern, given] of [[left, right], [right, left]] as const) {
    if (open(given).length === 0) return join(ofPattern(pattern, bound, outside), ofTerm(given, bound, outside));
  }
  return join(ofTerm(left, bound, outside), ofTerm(right, bound, outside));
}

function ofTerm(term: Term, bound: Names, outside: Names): Use {
  const use: Use = { needs: new Set(), binds: new Set() };
  const all = (terms: readonly Term[]): Use => {
    for (const item of terms) join(use, ofTerm(item, bound, outside));
    return use;
  };
  switch (term.kind) {
    case 'value': return use;
    case 'var':
      if (isLocal(term.name)) use.needs.add(term.name);
      return use;
    case 'ref':
      all([term.head]);
      for (const part of term.path) join(use, ofPattern(part, bound, outside));
      return use;
    case 'call': return all(term.args);
    case 'array':
    case 'set': return all(term.items);
    case 'object': return all(term.items.flat());
    default:
      for (const name of variablesIn(term)) if (outside.has(name)) use.needs.add(name);
      return use;
  }
}
function join(into: Use, from: Use): Use {
  for (const name of from.needs) into.needs.add(name);
  for (const name of from.binds) into.binds.add(name);
  return into;
}

// bodies inside
function withOrderedBodies(literal: Literal, bound: Names, outside: Names): Literal {
  const { statement } = literal;
  for (const { value } of literal.with) withOrderedBodiesIn(value, bound, outside);
  switch (statement.kind) {
    case 'term': withOrderedBodiesIn(statement.term, bound, outside); break;
    case 'unify': for (const side of [statement.left, statement.right]) withOrderedBodiesIn(side, bound, outside); break;
    case 'someIn': withOrderedBodiesIn(statement.of, bound, outside); break;
    case 'every': {
      withOrderedBodiesIn(statement.of, bound, outside);
      const inner = new Set([...bound, statement.value, ...(statement.key === undefined ? [] : [statement.key])]);
      return { ...literal, statement: { ...statement, body: order(statement.body, inner, new Set([...outside, ...inner, ...variablesOf(statement.body)]), literal.line) } };
    }
  }
  return literal;
}
/** In place: each body has exactly one position, and its order is found once. */
function withOrderedBodiesIn(term: Term, bound: Names, outside: Names): void {
  for (const inner of parts(term)) withOrderedBodiesIn(inner, bound, outside);
  if (term.kind !== 'arrayOf' && term.kind !== 'setOf' && term.kind !== 'objectOf') return;
  const inside = new Set(bound);
  const all = new Set([...outside, ...variablesOf(term.body)]);
  term.body = order(term.body, inside, all, term.body[0]?.line ?? 0);
  for (const head of term.kind === 'objectOf' ? [term.key, term.item] : [term.item]) checkBound(head, inside, all, term.body[0]?.line ?? 0);
}
/** Terms directly inside, bodies of comprehensions left out. */
function parts(term: Term): readonly Term[] {
  switch (term.kind) {
    case 'ref': return [term.head, ...term.path];
    case 'call': return term.args;
    case 'array':
    case 'set': return term.items;
    case 'object': return term.items.flat();
    default: return [];
  }
}

/** Local variables of a term, those of bodies inside too. */
function variablesIn(term: Term): string[] {
  if (term.kind === 'var') return isLocal(term.name) ? [term.name] : [];
  if (term.kind === 'arrayOf' || term.kind === 'setOf') return [...variablesIn(term.item), ...variablesOf(term.body, true)];
  if (term.kind === 'objectOf') return [...variablesIn(term.key), ...variablesIn(term.item), ...variablesOf(term.body, true)];
  return parts(term).flatMap(variablesIn);
}
const shallow = (term: Term): string[] => (term.kind === 'var' ? variablesIn(term) : parts(term).flatMap(shallow));

/** Local variables of a body; by default without those that only bodies inside have. */
function variablesOf(body: Body, deep = false): string[] {
  const of = deep ? variablesIn : shallow;
  return body.flatMap(({ statement, with: replaced }) => [...replaced.flatMap(({ value }) => of(value)), ...((): string[] => {
    switch (statement.kind) {
      case 'term': return of(statement.term);
      case 'unify': return [...of(statement.left), ...of(statement.right)];
      case 'some': return [];
      case 'someIn': return [...(statement.key ? of(statement.key) : []), ...of(statement.value), ...of(statement.of)];
      case 'every': return [...of(statement.of), ...(deep ? variablesOf(statement.body, true) : [])];
    }
  })()]);
}
