// How rows of docs/deviations.md are read, matched and found to be out of date.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { concerns, readDeviations, type Row, staleParts } from './deviations.ts';

const page = `
# Deviations
| Scenario | Step | What differs | Why |
| --- | --- | --- | --- |
| \`core/a\` | 3, 5-7 | x | y \\| z |
| core/b | * flaky | x | y |

## Not built yet
| Scenario | Step | Why |
| :-- | --- | --- |
| \`invoke/metrics-*\` | * | metrics |

| Other | table |
| --- | --- |
| core/c | 1 |
`;

test('tables are read by heading, other tables are left alone', () => {
  const { meant, notBuilt } = readDeviations(page);
  expect(meant.map(({ scenario, flaky }) => [scenario, flaky])).toEqual([['core/a', false], ['core/b', true]]);
  expect(notBuilt.map(({ scenario }) => scenario)).toEqual(['invoke/metrics-*']);
});

test('steps that are no numbers are refused with their line', () => {
  expect(() => readDeviations('| Scenario | Step |\n|---|---|\n| a | some |')).toThrow('line 3');
});

test('rows concern the steps they list', () => {
  const { meant, notBuilt } = readDeviations(page);
  const [a, b] = meant as [Row, Row];
  expect([2, 3, 4, 5, 6, 7, 8].filter((step) => concerns(a, 'core/a', step))).toEqual([3, 5, 6, 7]);
  expect(concerns(a, 'core/ab', 3)).toBe(false);
  expect(concerns(b, 'core/b', 99)).toBe(true);
  expect(concerns(notBuilt[0] as Row, 'invoke/metrics-components')).toBe(true);
});

test('each listed number or range must still cover a difference', () => {
  const [a, b] = readDeviations(page).meant as [Row, Row];
  const differs = (...steps: number[]) => steps.map((step) => ({ scenario: 'core/a', step }));
  expect(staleParts(a, differs(3, 6))).toEqual([]);
  expect(staleParts(a, differs(3))).toEqual(['5-7']);
  expect(staleParts(a, [])).toEqual(['3', '5-7']);
  expect(staleParts(b, [])).toEqual([]);
});

test('the page itself can be read', () => {
  expect(() => readDeviations(readFileSync(new URL('../../docs/deviations.md', import.meta.url), 'utf8'))).not.toThrow();
});
