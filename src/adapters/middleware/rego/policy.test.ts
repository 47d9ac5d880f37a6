import { describe, expect, it } from 'vitest';
import { goRegExpCompiler } from '../go-regexp.ts';
import { readPolicy } from './policy.ts';

const compile = await goRegExpCompiler();
const run = (rules: string, input: unknown = {}, rule = 'p') => readPolicy(`package http\n${rules}`, compile).evaluate(rule, input);

describe('Rego', () => {
  it.each<[string, unknown, unknown?]>([
    // rules
    ['p = 1', 1],
    ['p { true }', true],
    ['p { false }', undefined],
    ['default p = false\np { input.x == 1 }', false],
    ['default p = false\np { input.x == 1 }', true, { x: 1 }],
    ['p = {"a": [1, 2.5, "x", null, true]}', { a: [1, 2.5, 'x', null, true] }],
    ['p = "one" { input.n == 1 } else = "two" { input.n == 2 } else = "many"', 'two', { n: 2 }],
    ['p = "one" { input.n == 1 } else = "two" { input.n == 2 } else = "many"', 'many', { n: 3 }],
    ['p[x] { x := input.xs[_]; x > 1 }', [2, 3], { xs: [3, 1, 2, 2] }],
    ['p[k] = v { v := input[k]; k != "b" }', { a: 1 }, { a: 1, b: 2 }],
    ['p { q["a"] }\nq["a"] { true }', true],
    ['p { true } { false }', true],
    // version 1 words
    ['import rego.v1\np if input.a', true, { a: true }],
    ['import rego.v1\np contains x if some x in [2, 1]', [1, 2]],
    ['import rego.v1\np := "y" if { "b" in {"a", "b"} }', 'y'],
    ['import future.keywords\np { every x in [1, 2] { x > 0 } }', true],
    ['import future.keywords\np { every k, v in {"a": 1} { k == "a"; v == 2 } }', undefined],
    ['import rego.v1\np := {k: v | some k, v in {"a": 1, "b": 2}; v > 1}', { b: 2 }],
    // variables and unification
    ['p = x { x = input.a[i]; i > 0 }', 2, { a: [1, 2] }],
    ['p = [x, y] { [x, [_, y]] := [1, [2, 3]] }', [1, 3]],
    ['p = x { {"a": x, "b": 2} = {"a": 1, "b": 2} }', 1],
    ['p { y > 1; y = 2 }', true],
    ['p = x { x := 1 + 2 * 3 - 4 / 2 % 3 }', 5],
    ['p = n { count([1, 2], n) }', 2],
    ['p { not input.missing }', true],
    ['p { not input.xs[_] == 3 }', true, { xs: [1, 2] }],
    ['p { some i; input.xs[i] == 2; i == 1 }', true, { xs: [1, 2] }],
    ['x := 5\np = x', 5],
    ['p = [y | x := 1; y := x + 1]', [2]],
    // comprehensions, functions, references, with
    ['p = {x | x := input.xs[_]} - {1}', [2], { xs: [1, 2] }],
    ['p = f(2)\nf(x) = y { y := x * 2 }', 4],
    ['p = f(-2)\nf(x) = "neg" { x < 0 } else = "pos"', 'neg'],
    ['p = data.http.q.a\nq = {"a": 7}', 7],
    ['import input.request as r\np = r.path', '/x', { request: { path: '/x' } }],
    ['p { q with input.a as 2 }\nq { input.a == 2 }', true, { a: 1 }],
    ['p { q with data.http.r as 3 }\nq { r == 3 }\nr = 1', true],
    // functions
    ['p = concat(",", sort({"b", "a"}))', 'a,b'],
    ['p = split("a/b", "/")', ['a', 'b']],
    ['p = sprintf("%s %d %v %.1f", ["a", 2, {"k": [1]}, 1.25])', 'a 2 {"k": [1]} 1.3'],
    ['p = substring("grün", 2, -1)', 'ün'],
    ['p = regex.replace("a1b2", "([a-z])(\\\\d)", "$2$1")', '1a2b'],
    ['p { regex.match(`^/v1\\.\\d/`, "/v1.0/x") }', true],
    ['p { glob.match("/a/*/c", ["/"], "/a/b/c"); not glob.match("/a/*", ["/"], "/a/b/c"); glob.match("/a/**", ["/"], "/a/b/c") }', true],
    ['p { net.cidr_contains("10.0.0.0/8", "10.9.8.7"); not net.cidr_contains("10.0.0.0/8", "11.0.0.1"); net.cidr_contains("2001:db8::/32", "2001:db8:1::1") }', true],
    ['p = json.marshal({"b": "<", "a": 1})', '{"a":1,"b":"\\u003c"}'],
    ['p = object.get({"a": {"b": 1}}, ["a", "b"], 0)', 1],
    ['p = base64.decode(base64.encode("grün"))', 'grün'],
    ['p = x { [_, x, _] := io.jwt.decode("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.") }', { sub: 'me' }],
    ['p { to_number("x") } else = "no value"', 'no value'],
    ['p = time.parse_rfc3339_ns("1970-01-01T00:00:01Z")', 1e9],
    ['p { is_string("a"); is_number(1) == true; is_array(1) == false }', true],
  ])('%s', (rules, expected, input) => expect(run(rules, input)).toEqual(expected));

  it.each([
    ['', 'rego_parse_error: empty module'],
    ['this is not rego', 'rego_parse_error: package expected'],
    ['package http\np {', 'rego_parse_error'],
    ['package http\np { x > 1 }', 'rego_unsafe_var_error: var x is unsafe'],
    ['package http\np = x', 'var x is unsafe'],
    ['package http\np { not input.xs[i] }', 'var i is unsafe'],
    ['package http\np { q }\nq { p }', 'rego_recursion_error'],
    ['package http\np { http.send({}) }', 'undefined function http.send'],
    ['package http\np { count(1, 2, 3) }', 'arity mismatch'],
    ['package http\np { q with count as 1 }\nq = 1', 'only input and data'],
    ['package http\np { x := 1 y := 2 }', 'rego_parse_error'],
    ['package http\nimport foo.bar', 'unexpected import path'],
  ])('refuses %j when it is read', (source, why) => expect(() => readPolicy(source, compile)).toThrow(why));
  it('says in which line', () => expect(() => readPolicy('package http\n\np { x > 1 }', compile)).toThrow('inline.rego:3:'));

  it.each([
    ['p = 1\np = 2 { true }', 'complete rules must not produce multiple outputs'],
    ['p[k] = v { k := "a"; v := [1, 2][_] }', 'object keys must not produce multiple outputs'],
    ['p = f(1)\nf(x) = 1\nf(x) = 2', 'functions must not produce multiple outputs'],
  ])('%s has no single value', (rules, why) => expect(() => run(rules)).toThrow(why));
});
