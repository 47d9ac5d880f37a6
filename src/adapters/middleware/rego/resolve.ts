// Names of a Rego module resolved: rules and imports become references below `data` and `input`, every local variable gets a name of its own.
import type { Body, Literal, Module, Rule, Statement, Term } from './ast.ts';
import { problem } from './lexer.ts';

/** Variables a term binds where it stands as a pattern: `x`, `[x, y]`, `{"a": x}`. */
export function patternVariables(term: Term): string[] {
  switch (term.kind) {
    case 'var': return [term.name];
    case 'array': return term.items.flatMap(patternVariables);
    case 'object': return term.items.flatMap(([, item]) => patternVariables(item));
    default: return [];
  }
}

type Scope = ReadonlyMap<string, string>;

/** `builtinArity` tells known functions (-1: any number of arguments). Throws RegoError for others and for `with` on anything but input and data. */
export function resolveModule(module: Module, builtinArity: (name: string) => number | undefined): Rule[] {
  const rules = new Map<string, Rule['kind']>();
  for (const rule of module.rules) {
    const before = rules.get(rule.name);
    if (before !== undefined && before !== rule.kind && !(rule.isDefault || before === 'complete')) throw problem(rule.line, 'rego_type_error', `conflicting rules data.${[...module.package, rule.name].join('.')} found`);
    if (before === undefined || before === 'complete') rules.set(rule.name, rule.kind);
  }
  let made = 0;
  let line = 0;
  const own = (name: string): Term => ({ kind: 'ref', head: { kind: 'var', name: 'data' }, path: [...module.package, name].map((part): Term => ({ kind: 'value', value: part })) });
  const declare = (scope: Scope, names: readonly string[]): Scope => new Map([...scope, ...names.map((name) => [name, `${name}#${made++}`] as const)]);

  function variable(name: string, scope: Scope): Term {
    const local = scope.get(name);
    if (local !== undefined) return { kind: 'var', name: local };
    if (name === 'input' || name === 'data' || name.startsWith('$')) return { kind: 'var', name };
    if (rules.has(name)) return own(name);
    const [root, ...path] = module.imports.get(name) ?? [];
    if (root === undefined) return { kind: 'var', name };
    return path.length === 0 ? { kind: 'var', name: root } : { kind: 'ref', head: { kind: 'var', name: root }, path: path.map((part): Term => ({ kind: 'value', value: part })) };
  }

  function functionName(name: string): string {
    const [first, ...rest] = name.split('.') as [string, ...string[]];
    const imported = module.imports.get(first);
    const full = rules.get(name) === 'function' ? ['data', ...module.package, name].join('.') : imported ? [...imported, ...rest].join('.') : name;
    if (full.startsWith(ownPrefix) && rules.get(full.slice(ownPrefix.length)) === 'function') return full;
    if (builtinArity(full) === undefined) throw problem(line, 'rego_type_error', `undefined function ${name} (or one that Outrigger's Rego does not have)`);
    return full;
  }

  const mismatch = (name: string) => problem(line, 'rego_type_error', `${name}: arity mismatch`);
  const ownPrefix = `${['data', ...module.package].join('.')}.`;
  function arity(name: string): number | undefined {
    if (name.startsWith(ownPrefix)) return module.rules.find((rule) => rule.kind === 'function' && rule.name === name.slice(ownPrefix.length))?.args.length;
    return builtinArity(name);
  }
  const call = (given: Extract<Term, { kind: 'call' }>, scope: Scope): Extract<Term, { kind: 'call' }> => ({ kind: 'call', name: functionName(given.name), args: given.args.map((item) => term(item, scope)) });

  function term(given: Term, scope: Scope): Term {
    switch (given.kind) {
      case 'value': return given;
      case 'var': return variable(given.name, scope);
      case 'ref': {
        const head = term(given.head, scope);
        const path = given.path.map((part) => term(part, scope));
        return head.kind === 'ref' ? { kind: 'ref', head: head.head, path: [...head.path, ...path] } : { kind: 'ref', head, path };
      }
      case 'call': {
        const made = call(given, scope);
        if (made.args.length !== arity(made.name)) throw mismatch(given.name);
        return made;
      }
      case 'array':
      case 'set': return { kind: given.kind, items: given.items.map((item) => term(item, scope)) };
      case 'object': return { kind: 'object', items: given.items.map(([key, item]) => [term(key, scope), term(item, scope)] as const) };
      case 'arrayOf':
      case 'setOf': {
        const inner = bodyScope(given.body, scope);
        return { kind: given.kind, item: term(given.item, inner), body: literals(given.body, inner) };
      }
      case 'objectOf': {
        const inner = bodyScope(given.body, scope);
        return { kind: 'objectOf', key: term(given.key, inner), item: term(given.item, inner), body: literals(given.body, inner) };
      }
    }
  }

  const declared = ({ kind, ...rest }: Statement): string[] => {
    const given = { kind, ...rest } as Statement;
    if (given.kind === 'some') return given.names;
    if (given.kind === 'someIn') return [...(given.key ? patternVariables(given.key) : []), ...patternVariables(given.value)];
    return given.kind === 'unify' && given.declares ? patternVariables(given.left) : [];
  };
  const bodyScope = (body: Body, scope: Scope): Scope => declare(scope, [...new Set(body.flatMap(({ statement }) => declared(statement)))].filter((name) => !name.startsWith('$')));

  function statement(given: Statement, scope: Scope): Statement {
    switch (given.kind) {
      case 'term': {
        if (given.term.kind !== 'call') return { kind: 'term', term: term(given.term, scope) };
        const made = call(given.term, scope);
        const count = arity(made.name) as number;
        if (count === -1 || made.args.length === count) return { kind: 'term', term: made };
        if (made.args.length !== count + 1) throw mismatch(given.term.name);
        return { kind: 'unify', left: made.args.at(-1) as Term, right: { ...made, args: made.args.slice(0, -1) }, declares: false };
      }
      case 'unify': return { ...given, left: term(given.left, scope), right: term(given.right, scope) };
      case 'some': return { kind: 'some', names: [] };
      case 'someIn': return { kind: 'someIn', key: given.key && term(given.key, scope), value: term(given.value, scope), of: term(given.of, scope) };
      case 'every': {
        const items = declare(scope, [...(given.key === undefined ? [] : [given.key]), given.value]);
        const inner = bodyScope(given.body, items);
        return { kind: 'every', key: given.key === undefined ? undefined : items.get(given.key), value: items.get(given.value) as string, of: term(given.of, scope), body: literals(given.body, inner) };
      }
    }
  }
  function literals(body: Body, scope: Scope): Body {
    return body.map((given): Literal => {
      ({ line } = given);
      for (const { target } of given.with) {
        if (target[0] !== 'input' && target[0] !== 'data') throw problem(line, 'rego_type_error', `with ${target.join('.')}: only input and data can be replaced in Outrigger's Rego`);
      }
      return { ...given, statement: statement(given.statement, scope), with: given.with.map(({ target, value }) => ({ target, value: term(value, scope) })) };
    });
  }

  return module.rules.map((rule): Rule => {
    ({ line } = rule);
    const outer = declare(new Map(), [...new Set(rule.args.flatMap(patternVariables))].filter((name) => !name.startsWith('$')));
    const scope = bodyScope(rule.body, outer);
    return {
      ...rule,
      args: rule.args.map((item) => term(item, outer)),
      key: rule.key && term(rule.key, scope),
      value: term(rule.value, scope),
      body: literals(rule.body, scope),
      others: rule.others.map((other) => {
        const inner = bodyScope(other.body, outer);
        return { value: term(other.value, inner), body: literals(other.body, inner) };
      }),
    };
  });
}
