// Evaluating the rules of a Rego module: every solution of a body is found by trying, one statement after the other.
import type { Body, Literal, Rule, Term } from './ast.ts';
import { problem, RegoError } from './lexer.ts';
import { equal, isArray, keyOf, RegoObject, RegoSet, type Value } from './value.ts';

/** Gets values and returns one; undefined where it has none for them. */
export type Builtin = (...args: Value[]) => Value | undefined;

/** Called for each solution; true: no more are wanted. */
type Found = () => boolean;
type FoundValue = (value: Value) => boolean;
type Env = Map<string, Value>;

interface Context {
  input: Value | undefined;
  /** `with data.x as y`, what is outside of the module. */
  base: RegoObject;
  /** `with data.<package>.<rule> as y` */
  replaced: ReadonlyMap<string, Value>;
  /** Values of rules, found once. */
  known: Map<string, Value | undefined>;
}

const deepest = 500;
const conflict = (rule: string) => new RegoError(`eval_conflict_error: ${rule} must not produce multiple outputs`);

/** The value of a rule of the module for an input; undefined where it has none. Throws RegoError. */
export function createEvaluator(packagePath: readonly string[], all: readonly Rule[], builtins: ReadonlyMap<string, Builtin>): (rule: string, input: Value) => Value | undefined {
  const rules = new Map<string, Rule[]>();
  for (const rule of all) rules.set(rule.name, [...(rules.get(rule.name) ?? []), rule]);
  const prefix = `${['data', ...packagePath].join('.')}.`;
  let depth = 0;
  refuseRecursion(rules, packagePath);

  function body(literals: Body, at: number, env: Env, context: Context, found: Found): boolean {
    const literal = literals[at];
    if (literal === undefined) return found();
    const inner = literal.with.length === 0 ? context : replacing(literal, env, context);
    if (inner === undefined) return false;
    if (literal.negated) {
      let holds = false;
      statement(literal, new Map(env), inner, () => (holds = true));
      return holds ? false : body(literals, at + 1, env, context, found);
    }
    return statement(literal, env, inner, () => body(literals, at + 1, env, context, found));
  }

  function statement({ statement: given }: Literal, env: Env, context: Context, found: Found): boolean {
    switch (given.kind) {
      case 'term': return term(given.term, env, context, (value) => value !== false && found());
      case 'some': return found();
      case 'unify': return unify(given.left, given.right, env, context, found);
      case 'someIn':
        return term(given.of, env, context, (of) => members(of).some(([key, value]) => match(given.value, value, env, context, () => (given.key === undefined ? found() : match(given.key, key, env, context, found)))));
      case 'every':
        return term(given.of, env, context, (of) => {
          if (of === null || typeof of !== 'object') return false;
          const holds = members(of).every(([key, value]) => {
            const inner = new Map(env).set(given.value, value);
            if (given.key !== undefined) inner.set(given.key, key);
            return body(given.body, 0, inner, context, () => true);
          });
          return holds && found();
        });
    }
  }

  /** undefined where a value to put in place has none. */
  function replacing({ with: replaced }: Literal, env: Env, context: Context): Context | undefined {
    let { input, base } = context;
    const values = new Map(context.replaced);
    for (const { target, value: given } of replaced) {
      const value = first(given, env, context);
      if (value === undefined) return undefined;
      const [root, ...path] = target;
      const name = path.slice(0, packagePath.length).join('.') === packagePath.join('.') ? path[packagePath.length] : undefined;
      if (root === 'input') input = put(input, path, value);
      else if (name !== undefined && path.length === packagePath.length + 1) values.set(name, value);
      else base = put(base, path, value) as RegoObject;
    }
    return { input, base, replaced: values, known: new Map() };
  }

  function first(given: Term, env: Env, context: Context): Value | undefined {
    let result: Value | undefined;
    term(given, env, context, (value) => {
      result = value;
      return true;
    });
    return result;
  }

  function term(given: Term, env: Env, context: Context, found: FoundValue): boolean {
    switch (given.kind) {
      case 'value': return found(given.value);
      case 'var': {
        if (given.name === 'data') return found(document(context));
        const value = given.name === 'input' ? context.input : env.get(given.name);
        return value !== undefined && found(value);
      }
      case 'ref':
        if (given.head.kind === 'var' && given.head.name === 'data') return below(given.path, 0, env, context, found);
        return term(given.head, env, context, (value) => walk(value, given.path, 0, env, context, found));
      case 'call': return each(given.args, 0, [], env, context, (args) => {
        const value = call(given.name, args, context);
        return value !== undefined && found(value);
      });
      case 'array': return each(given.items, 0, [], env, context, (items) => found(items));
      case 'set': return each(given.items, 0, [], env, context, (items) => found(new RegoSet(items)));
      case 'object': return each(given.items.flat(), 0, [], env, context, (flat) => found(new RegoObject(given.items.map((_, i) => [flat[i * 2] as Value, flat[i * 2 + 1] as Value] as const))));
      case 'arrayOf': {
        const items: Value[] = [];
        body(given.body, 0, env, context, () => term(given.item, env, context, (value) => { items.push(value); return false; }));
        return found(items);
      }
      case 'setOf': {
        const items = new RegoSet();
        body(given.body, 0, env, context, () => term(given.item, env, context, (value) => { items.items.set(keyOf(value), value); return false; }));
        return found(items);
      }
      case 'objectOf': {
        const items = new RegoObject();
        body(given.body, 0, env, context, () => term(given.key, env, context, (key) => term(given.item, env, context, (value) => { add(items, key, value, 'object keys'); return false; })));
        return found(items);
      }
    }
  }
  function each(terms: readonly Term[], at: number, values: readonly Value[], env: Env, context: Context, found: (values: readonly Value[]) => boolean): boolean {
    const given = terms[at];
    return given === undefined ? found(values) : term(given, env, context, (value) => each(terms, at + 1, [...values, value], env, context, found));
  }

  const isOpen = (given: Term, env: Env): boolean =>
    given.kind === 'var' ? given.name !== 'input' && given.name !== 'data' && !env.has(given.name) : given.kind === 'array' ? given.items.some((item) => isOpen(item, env)) : given.kind === 'object' && given.items.some(([, item]) => isOpen(item, env));

  /** A value below another, one step of the path after the other; variables that are not bound take every key there is. */
  function walk(value: Value, path: readonly Term[], at: number, env: Env, context: Context, found: FoundValue): boolean {
    const step = path[at];
    if (step === undefined) return found(value);
    if (isOpen(step, env)) return keys(value).some(([key, item]) => match(step, key, env, context, () => walk(item, path, at + 1, env, context, found)));
    return term(step, env, context, (key) => {
      const item = lookup(value, key);
      return item !== undefined && walk(item, path, at + 1, env, context, found);
    });
  }

  /** The same below `data`, where the package of the module is. */
  function below(path: readonly Term[], at: number, env: Env, context: Context, found: FoundValue): boolean {
    const step = path[at];
    if (step === undefined) return found(lookupPath(document(context), packagePath.slice(0, at)));
    const inPackage = at === packagePath.length;
    const names = inPackage ? [...rules.keys()].filter((name) => rules.get(name)?.[0]?.kind !== 'function') : [packagePath[at] as string];
    const into = (name: string): boolean => {
      if (!inPackage) return below(path, at + 1, env, context, found);
      const value = ruleValue(name, context);
      return value !== undefined && walk(value, path, at + 1, env, context, found);
    };
    const outside = lookupPath(context.base, packagePath.slice(0, at), true);
    if (isOpen(step, env)) {
      if (names.some((name) => match(step, name, env, context, () => into(name)))) return true;
      return keys(outside).some(([key, value]) => !names.includes(key as string) && match(step, key, env, context, () => walk(value, path, at + 1, env, context, found)));
    }
    return term(step, env, context, (key) => {
      if (typeof key === 'string' && names.includes(key)) return into(key);
      const value = lookup(outside, key);
      return value !== undefined && walk(value, path, at + 1, env, context, found);
    });
  }
  function document(context: Context): Value {
    const own = new RegoObject();
    for (const [name, [rule]] of rules) {
      const value = rule?.kind === 'function' ? undefined : ruleValue(name, context);
      if (value !== undefined) own.entries.set(keyOf(name), [name, value]);
    }
    return put(context.base, packagePath, own);
  }

  function unify(left: Term, right: Term, env: Env, context: Context, found: Found): boolean {
    if (left.kind === 'array' && right.kind === 'array' && (isOpen(left, env) || isOpen(right, env))) {
      if (left.items.length !== right.items.length) return false;
      const pair = (at: number): boolean => (at === left.items.length ? found() : unify(left.items[at] as Term, right.items[at] as Term, env, context, () => pair(at + 1)));
      return pair(0);
    }
    if (isOpen(left, env)) return term(right, env, context, (value) => match(left, value, env, context, found));
    return term(left, env, context, (value) => match(right, value, env, context, found));
  }
  /** Makes a pattern equal to a value, for as long as `found` runs. */
  function match(pattern: Term, value: Value, env: Env, context: Context, found: Found): boolean {
    if (pattern.kind === 'var' && isOpen(pattern, env)) {
      env.set(pattern.name, value);
      const stop = found();
      env.delete(pattern.name);
      return stop;
    }
    if (pattern.kind === 'array' && isOpen(pattern, env)) {
      if (!isArray(value) || value.length !== pattern.items.length) return false;
      const item = (at: number): boolean => (at === value.length ? found() : match(pattern.items[at] as Term, value[at] as Value, env, context, () => item(at + 1)));
      return item(0);
    }
    if (pattern.kind === 'object' && isOpen(pattern, env)) {
      if (!(value instanceof RegoObject) || value.size !== pattern.items.length) return false;
      const item = (at: number): boolean => {
        const entry = pattern.items[at];
        if (entry === undefined) return found();
        return term(entry[0], env, context, (key) => {
          const inner = value.get(key);
          return inner !== undefined && match(entry[1], inner, env, context, () => item(at + 1));
        });
      };
      return item(0);
    }
    return term(pattern, env, context, (other) => equal(other, value) && found());
  }

  function call(name: string, args: readonly Value[], context: Context): Value | undefined {
    const builtin = builtins.get(name);
    if (builtin !== undefined) return builtin(...args);
    return deeper(() => outcome(rules.get(name.slice(prefix.length)) ?? [], args, context, `functions`));
  }

  function ruleValue(name: string, context: Context): Value | undefined {
    if (context.replaced.has(name)) return context.replaced.get(name);
    if (context.known.has(name)) return context.known.get(name);
    const value = deeper(() => evaluated(name, context));
    context.known.set(name, value);
    return value;
  }
  function evaluated(name: string, context: Context): Value | undefined {
    const own = rules.get(name) ?? [];
    const kind = own.find((rule) => !rule.isDefault)?.kind ?? 'complete';
    if (kind === 'complete') return outcome(own, [], context, 'complete rules');
    const set = new RegoSet();
    const object = new RegoObject();
    for (const rule of own) {
      const env: Env = new Map();
      body(rule.body, 0, env, context, () => term(rule.key as Term, env, context, (key) => {
        if (kind === 'set') set.items.set(keyOf(key), key);
        else term(rule.value, env, context, (value) => { add(object, key, value, 'object keys'); return false; });
        return false;
      }));
    }
    return kind === 'set' ? set : object;
  }

  /** The one value that rules of a name come to. */
  function outcome(own: readonly Rule[], args: readonly Value[], context: Context, what: string): Value | undefined {
    let result: Value | undefined;
    const take = (given: Term, env: Env): boolean =>
      term(given, env, context, (value) => {
        if (result !== undefined && !equal(result, value)) throw conflict(what);
        result = value;
        return given.kind === 'value'; // another solution says the same
      });
    const attempt = (rule: Rule, found: (env: Env) => boolean, literals: Body): boolean => {
      const env: Env = new Map();
      let solved = false;
      const start = (at: number): boolean => {
        const pattern = rule.args[at];
        if (pattern !== undefined) return match(pattern, args[at] as Value, env, context, () => start(at + 1));
        return body(literals, 0, env, context, () => {
          solved = true;
          return found(env);
        });
      };
      start(0);
      return solved;
    };
    for (const rule of own) {
      if (rule.isDefault || rule.args.length !== args.length) continue;
      if (attempt(rule, (env) => take(rule.value, env), rule.body)) continue;
      for (const other of rule.others) if (attempt(rule, (env) => take(other.value, env), other.body)) break;
    }
    const fallback = own.find((rule) => rule.isDefault);
    if (result === undefined && fallback) attempt(fallback, (env) => take(fallback.value, env), []);
    return result;
  }

  function deeper<T>(run: () => T): T {
    if (++depth > deepest) throw new RegoError('eval_internal_error: evaluation is nested too deeply');
    try {
      return run();
    } finally {
      depth--;
    }
  }

  return (rule, input) => (rules.has(rule) ? ruleValue(rule, { input, base: new RegoObject(), replaced: new Map(), known: new Map() }) : undefined);
}

/** Keys and values, in Rego's order; the keys of a set are its items. */
function keys(value: Value): (readonly [Value, Value])[] {
  if (value === null || typeof value !== 'object') return [];
  if (isArray(value)) return value.map((item, i) => [i, item] as const);
  return value instanceof RegoSet ? value.sorted().map((item) => [item, item] as const) : value.sorted();
}
const members = keys;

export function lookup(value: Value, key: Value): Value | undefined {
  if (value === null || typeof value !== 'object') return undefined;
  if (isArray(value)) return typeof key === 'number' && Number.isInteger(key) && key >= 0 ? value[key] : undefined;
  if (value instanceof RegoSet) return value.has(key) ? key : undefined;
  return value.get(key);
}
function lookupPath(value: Value, path: readonly string[], orEmpty = false): Value {
  let at: Value | undefined = value;
  for (const part of path) at = at === undefined ? undefined : lookup(at, part);
  return at ?? (orEmpty ? new RegoObject() : null);
}
/** A copy with that value at the path; what is no object on the way is replaced. */
function put(value: Value | undefined, path: readonly string[], given: Value): Value {
  const [step, ...rest] = path;
  if (step === undefined) return given;
  const entries = value instanceof RegoObject ? [...value.entries.values()] : [];
  const before = entries.find(([key]) => key === step)?.[1];
  return new RegoObject([...entries.filter(([key]) => key !== step), [step, put(before, rest, given)]]);
}
function add(object: RegoObject, key: Value, value: Value, what: string): void {
  const before = object.get(key);
  if (before !== undefined && !equal(before, value)) throw conflict(what);
  object.entries.set(keyOf(key), [key, value]);
}

/** Rules that lead to themselves have no value. */
function refuseRecursion(rules: ReadonlyMap<string, readonly Rule[]>, packagePath: readonly string[]): void {
  const below = (path: readonly Term[]): string | undefined => {
    const names = path.slice(0, packagePath.length + 1).map((part) => (part.kind === 'value' && typeof part.value === 'string' ? part.value : undefined));
    return names.slice(0, packagePath.length).join('.') === packagePath.join('.') ? names[packagePath.length] : undefined;
  };
  const named = (given: unknown, into: Set<string>): void => {
    if (typeof given !== 'object' || given === null) return;
    const node = given as { kind?: string; name?: unknown; head?: Term; path?: readonly Term[] };
    if (node.kind === 'value') return;
    if (node.kind === 'ref' && node.head?.kind === 'var' && node.head.name === 'data') {
      const name = below(node.path ?? []);
      if (name !== undefined) into.add(name);
    }
    if (node.kind === 'call' && typeof node.name === 'string' && node.name.startsWith('data.')) into.add(node.name.slice(['data', ...packagePath].join('.').length + 1));
    for (const inner of Object.values(given)) named(inner, into);
  };
  const uses = new Map([...rules].map(([name, list]) => {
    const into = new Set<string>();
    for (const rule of list) named([rule.args, rule.key, rule.value, rule.body, rule.others], into);
    return [name, into] as const;
  }));
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): void => {
    if (trail.includes(name)) throw problem(rules.get(name)?.[0]?.line ?? 0, 'rego_recursion_error', `rule data.${[...packagePath, name].join('.')} is recursive: ${[...trail.slice(trail.indexOf(name)), name].join(' -> ')}`);
    if (done.has(name) || !uses.has(name)) return;
    for (const used of uses.get(name) ?? []) visit(used, [...trail, name]);
    done.add(name);
  };
  for (const name of rules.keys()) visit(name, []);
}
