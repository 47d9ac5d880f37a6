// From the text of a Rego module (version 0 syntax, with what `import rego.v1` and `import future.keywords` add) to its syntax tree.
import type { Body, Literal, Module, Rule, Statement, Term } from './ast.ts';
import { problem, type Token, tokensOf } from './lexer.ts';
import { RegoSet, type Value } from './value.ts';

const truth: Term = { kind: 'value', value: true };
const value = (given: Value): Term => ({ kind: 'value', value: given });
const reserved = new Set(['package', 'import', 'default', 'not', 'as', 'with', 'null', 'true', 'false', 'some', 'else']);
const comparisons: Readonly<Record<string, string>> = { '==': 'equal', '!=': 'neq', '<': 'lt', '<=': 'lte', '>': 'gt', '>=': 'gte' };
const levels: readonly Readonly<Record<string, string>>[] = [comparisons, { '|': 'or' }, { '&': 'and' }, { '+': 'plus', '-': 'minus' }, { '*': 'mul', '/': 'div', '%': 'rem' }];
/** Level at which `|` is no operator: the first item of what may be a comprehension. */
const aboveOr = 2;

export function parseModule(source: string): Module {
  const tokens = tokensOf(source);
  let at = 0;
  let wildcards = 0;
  const peek = (ahead = 0): Token => tokens[Math.min(at + ahead, tokens.length - 1)] as Token;
  const next = (): Token => tokens[Math.min(at++, tokens.length - 1)] as Token;
  const is = (text: string, ahead = 0): boolean => peek(ahead).text === text && (peek(ahead).kind === 'sign' || peek(ahead).kind === 'name');
  const accept = (text: string): boolean => is(text) && next() !== undefined;
  const wrong = (token: Token, wanted?: string) => problem(token.line, 'rego_parse_error', token.kind === 'end' ? `unexpected end of file${wanted ? `, expected ${wanted}` : ''}` : `unexpected ${token.kind === 'name' ? 'identifier' : 'token'} ${token.text}${wanted ? `, expected ${wanted}` : ''}`);
  const expect = (text: string): Token => {
    const token = next();
    if (token.text !== text || (token.kind !== 'sign' && token.kind !== 'name')) throw wrong(token, text);
    return token;
  };
  const name = (): string => {
    const token = next();
    if (token.kind !== 'name' || reserved.has(token.text)) throw wrong(token, 'a name');
    return token.text;
  };
  const list = <T>(close: string, item: () => T): T[] => {
    const items: T[] = [];
    while (!is(close)) {
      items.push(item());
      if (!accept(',')) break;
    }
    expect(close);
    return items;
  };

  const dotted = (): string[] => {
    const path = [name()];
    for (;;) {
      if (accept('.')) path.push(name());
      else if (is('[') && peek(1).kind === 'text') {
        next();
        path.push(next().text);
        expect(']');
      } else return path;
    }
  };

  // terms
  function term(level = 0): Term {
    if (level === levels.length) return factor();
    let left = term(level + 1);
    for (;;) {
      const operator = peek().kind === 'sign' ? levels[level]?.[peek().text] : undefined;
      if (operator === undefined) return left;
      next();
      left = { kind: 'call', name: operator, args: [left, term(level + 1)] };
    }
  }
  /** With `x in xs` and `k, v in xs`, which bind weakest. */
  function membership(pairs: boolean): Term {
    let left = term();
    if (pairs && is(',')) {
      const mark = at;
      next();
      const second = term();
      if (accept('in')) left = { kind: 'call', name: 'internal.member_3', args: [left, second, term()] };
      else at = mark;
    }
    while (accept('in')) left = { kind: 'call', name: 'internal.member_2', args: [left, term()] };
    return left;
  }

  function factor(): Term {
    const token = peek();
    let head: Term;
    if (token.kind === 'number') return value(Number(next().text));
    if (is('-') && peek(1).kind === 'number' && peek(1).joined) {
      next();
      return value(-Number(next().text));
    }
    if (token.kind === 'text') head = value(next().text);
    else if (is('(')) {
      next();
      head = membership(true);
      expect(')');
      return head;
    } else if (is('[')) head = array();
    else if (is('{')) head = braces();
    else if (token.kind === 'name') {
      next();
      if (token.text === 'null') return value(null);
      if (token.text === 'true' || token.text === 'false') return value(token.text === 'true');
      if (reserved.has(token.text)) throw wrong(token);
      if (token.text === 'set' && is('(') && peek().joined) {
        next();
        expect(')');
        return value(new RegoSet());
      }
      head = { kind: 'var', name: token.text === '_' ? `$${wildcards++}` : token.text };
    } else throw wrong(token);
    return suffixes(head);
  }

  function suffixes(head: Term): Term {
    let path: Term[] = [];
    let result = head;
    const whole = (): Term => (path.length === 0 ? result : { kind: 'ref', head: result, path });
    for (;;) {
      const token = peek();
      if (!token.joined || token.kind !== 'sign') return whole();
      if (token.text === '.') {
        next();
        const field = next();
        if (field.kind !== 'name') throw wrong(field, 'a name');
        path.push(value(field.text));
      } else if (token.text === '[') {
        next();
        path.push(membership(false));
        expect(']');
      } else if (token.text === '(') {
        const called = nameOf(whole());
        if (called === undefined) throw wrong(token);
        next();
        result = { kind: 'call', name: called, args: list(')', () => membership(false)) };
        path = [];
      } else return whole();
    }
  }

  function array(): Term {
    expect('[');
    if (accept(']')) return { kind: 'array', items: [] };
    const mark = at;
    const first = term(aboveOr);
    if (accept('|')) {
      const body = statements(']');
      return { kind: 'arrayOf', item: first, body };
    }
    at = mark;
    return { kind: 'array', items: list(']', () => membership(false)) };
  }
  function braces(): Term {
    expect('{');
    if (accept('}')) return { kind: 'object', items: [] };
    const mark = at;
    const first = term(aboveOr);
    if (accept('|')) return { kind: 'setOf', item: first, body: statements('}') };
    if (accept(':')) {
      const item = term(aboveOr);
      if (accept('|')) return { kind: 'objectOf', key: first, item, body: statements('}') };
    }
    at = mark;
    const start = membership(false);
    if (!accept(':')) {
      const items = [start];
      if (accept(',')) items.push(...list('}', () => membership(false)));
      else expect('}');
      return { kind: 'set', items };
    }
    const items: (readonly [Term, Term])[] = [[start, membership(false)]];
    if (accept(',')) {
      items.push(...list('}', () => {
        const key = membership(false);
        expect(':');
        return [key, membership(false)] as const;
      }));
    } else expect('}');
    return { kind: 'object', items };
  }

  // bodies
  function statements(close: string): Body {
    const body: Body = [];
    while (!is(close)) {
      body.push(literal());
      if (accept(';')) continue;
      if (!is(close) && !peek().first) throw wrong(peek());
    }
    if (body.length === 0) throw problem(peek().line, 'rego_parse_error', 'found empty body');
    expect(close);
    return body;
  }

  function literal(): Literal {
    const { line } = peek();
    const negated = accept('not');
    const made = statement();
    const withs: Literal['with'] = [];
    while (accept('with')) {
      const target = dotted();
      expect('as');
      withs.push({ target, value: membership(false) });
    }
    return { statement: made, negated, with: withs, line };
  }

  function statement(): Statement {
    if (accept('some')) return some();
    if (is('every') && peek(1).kind === 'name') {
      next();
      let key: string | undefined;
      let item = name();
      if (accept(',')) [key, item] = [item, name()];
      expect('in');
      const of = term();
      expect('{');
      return { kind: 'every', key, value: item, of, body: statements('}') };
    }
    const left = membership(true);
    if (accept(':=')) return { kind: 'unify', left, right: membership(false), declares: true };
    if (accept('=')) return { kind: 'unify', left, right: membership(false), declares: false };
    return { kind: 'term', term: left };
  }
  function some(): Statement {
    const items = [term()];
    while (accept(',')) items.push(term());
    if (accept('in')) {
      if (items.length > 2) throw wrong(peek());
      return { kind: 'someIn', key: items.length === 2 ? items[0] : undefined, value: items.at(-1) as Term, of: term() };
    }
    return { kind: 'some', names: items.map((item) => {
      if (item.kind !== 'var') throw wrong(peek(), 'a variable');
      return item.name;
    }) };
  }

  // rules
  function rule(isDefault: boolean): Rule[] {
    const { line } = peek();
    const ruleName = name();
    let args: Term[] | undefined;
    let key: Term | undefined;
    if (is('(') && peek().joined) {
      next();
      args = list(')', () => membership(false));
    } else if (is('[') && peek().joined) {
      next();
      key = membership(false);
      expect(']');
    }
    if (peek().joined && (is('.') || is('['))) throw problem(line, 'rego_compile_error', 'rule heads with more than a name and one key are not known to Outrigger');
    let kind: Rule['kind'] = args ? 'function' : key ? 'object' : 'complete';
    let result: Term | undefined;
    if (key === undefined && args === undefined && accept('contains')) {
      key = membership(false);
      kind = 'set';
    } else if (accept(':=') || accept('=')) result = membership(false);
    // `p[x] { … }` is a set, `p[x] if …` of version 1 an object of trues
    else if (kind === 'object' && !is('if')) kind = 'set';
    const bodies = ruleBodies(isDefault || (kind === 'set' && key !== undefined) || result !== undefined || kind === 'function');
    const others: Rule['others'] = [];
    while (accept('else')) {
      const otherValue = accept(':=') || accept('=') ? membership(false) : truth;
      others.push({ value: otherValue, body: is('{') || is('if') ? oneBody() : [] });
    }
    const common = { name: ruleName, kind, args: args ?? [], key, value: result ?? truth, isDefault, line };
    return bodies.map((body, i) => ({ ...common, body, others: i === bodies.length - 1 ? others : [] }));
  }
  const oneBody = (): Body => {
    if (accept('if')) {
      if (is('{')) return oneBody();
      return [literal()];
    }
    expect('{');
    return statements('}');
  };
  function ruleBodies(mayBeEmpty: boolean): Body[] {
    if (!is('{') && !is('if')) {
      if (!mayBeEmpty) throw problem(peek(-1).line, 'rego_parse_error', 'var cannot be used for rule name');
      return [[]];
    }
    const bodies = [oneBody()];
    while (is('{')) bodies.push(oneBody());
    return bodies;
  }

  // module
  if (peek().kind === 'end') throw problem(0, 'rego_parse_error', 'empty module');
  if (!accept('package')) throw problem(peek().line, 'rego_parse_error', 'package expected');
  const module: Module = { package: dotted(), imports: new Map(), rules: [] };
  while (peek().kind !== 'end') {
    if (accept(';')) continue;
    if (accept('import')) {
      const path = dotted();
      const alias = accept('as') ? name() : undefined;
      if (path[0] === 'future' || path[0] === 'rego') continue;
      if (path[0] !== 'data' && path[0] !== 'input') throw problem(peek().line, 'rego_parse_error', `unexpected import path, must begin with one of: {data, future, input, rego}, got: ${path[0]}`);
      module.imports.set(alias ?? (path.at(-1) as string), path);
      continue;
    }
    const { line } = peek();
    module.rules.push(...rule(accept('default')));
    if (peek().kind !== 'end' && !peek().first && !is(';')) throw problem(line, 'rego_parse_error', `unexpected token ${peek().text}`);
  }
  return module;
}

/** The dotted name of a function: `io.jwt.decode`. */
function nameOf(term: Term): string | undefined {
  if (term.kind === 'var') return term.name;
  if (term.kind !== 'ref' || term.head.kind !== 'var') return undefined;
  const parts = term.path.map((part) => (part.kind === 'value' && typeof part.value === 'string' ? part.value : undefined));
  return parts.includes(undefined) ? undefined : [term.head.name, ...parts].join('.');
}
