import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CelError, compileCel } from './cel.ts';

const measured = JSON.parse(readFileSync(join(import.meta.dirname, '../../test/fixtures/cel/cel-go.json'), 'utf8')) as { event: object; cases: [string, string][] };

/** Where our engine says something else, and what. Nobody routes by these. */
const others: Record<string, string> = {
  'event.data.order.items[0u].sku == "S1"': 'error: no such key: 0',
  'event.type.startsWith(1)': 'error: no such overload', // not found before it runs
  'x.map(y, y+1) == [2]': 'error: no such attribute(s): x',
  'google.protobuf.Duration{seconds: 1} == duration("1s")': 'refused',
  'int(1e30) == 1': 'false',
  'timestamp("2020-01-01T00:00:00.123456789Z") == timestamp("2020-01-01T00:00:00.123Z")': 'true', // milliseconds
  'true ? false ? 1 : 2 : 3': 'no boolean',
  '1 > 1.0': 'false',
  '1u < 2': 'true',
  '9223372036854775808': 'no boolean',
  '0xFFFFFFFFFFFFFFFFF': 'no boolean',
  '.5 == 0.5': 'refused',
};

async function outcome(text: string): Promise<string> {
  try {
    const expression = await compileCel(text);
    try {
      const value = expression.evaluate({ event: measured.event });
      return typeof value === 'boolean' ? String(value) : 'no boolean';
    } catch (error) {
      return error instanceof CelError ? `error: ${error.message}` : `thrown: ${String(error)}`;
    }
  } catch (error) {
    return error instanceof CelError ? 'refused' : `thrown: ${String(error)}`;
  }
}

describe('CEL as in daprd', () => {
  /** Compared to the letter: what people look for in their logs. Of two errors in one expression ours may name the other one. */
  const kind = (outcome: string) => /^error: (no such overload$|division by zero|index out of bounds: .*|error parsing regexp.*|no such attribute|(?=no such key))/.exec(outcome)?.[0] ?? outcome.replace(/^error: .*/, 'error');
  test('values, refusals and errors', async () => {
    const differences: Record<string, string> = {};
    for (const [text, theirs] of measured.cases) {
      const ours = await outcome(text);
      const wanted = kind(theirs);
      if (wanted === 'error' ? !ours.startsWith('error: ') : kind(ours) !== wanted) differences[text] = ours;
    }
    delete differences['timestamp("2020-01-01T00:00:00Z").getHours("+02:00") == 2']; // as the runtime's time zones are
    expect(differences).toEqual(others);
  });
});

test('what is no expression is refused with its place', async () => {
  await expect(compileCel('event.type ==')).rejects.toThrow('ERROR: <input>:1:14: Syntax error: ');
  await expect(compileCel('event.a &&\n  event.b.lowerAscii() == "x"')).rejects.toThrow("ERROR: <input>:2:21: undeclared reference to 'lowerAscii' (in container '')\n |   event.b.lowerAscii() == \"x\"\n | ....................^");
});

test('whole numbers are bigints, as circuit breakers hand them over', async () => {
  const trip = await compileCel('consecutiveFailures >= 5 && totalFailures * 2 > requests');
  expect(trip.evaluate({ consecutiveFailures: 5n, totalFailures: 6n, requests: 11n })).toBe(true);
  expect(trip.evaluate({ consecutiveFailures: 4n, totalFailures: 6n, requests: 11n })).toBe(false);
});

test('no pattern takes for ever', async () => {
  const rule = await compileCel('event.text.matches("(a+)+$")');
  expect(rule.evaluate({ event: { text: `${'a'.repeat(200)}b` } })).toBe(false);
});
