// Reads docs/deviations.md: which differences are meant to stay, and what is not built yet.

/** `steps` of one cell: the numbers and ranges it lists, or all. */
type Steps = 'all' | { from: number; to: number; text: string }[];
export type Row = { scenario: string; steps: Steps; flaky: boolean; line: number; text: string };
export type Deviations = { meant: Row[]; notBuilt: Row[] };

/**
 * Every table whose first two columns are Scenario and Step counts. Below a heading that begins with "Not built" its
 * rows name what is not judged; below any other heading they name differences that are meant.
 */
export function readDeviations(markdown: string): Deviations {
  const result: Deviations = { meant: [], notBuilt: [] };
  let list = result.meant;
  let inTable = false;
  for (const [i, line] of markdown.split('\n').entries()) {
    if (line.startsWith('#')) list = /^#+ Not built/i.test(line) ? result.notBuilt : result.meant;
    const cells = line.startsWith('|') ? line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()) : [];
    if (cells[0] === 'Scenario') inTable = cells[1] === 'Step';
    else if (cells.length === 0) inTable = false;
    else if (inTable && !/^[\s:-]*$/.test(cells[0] ?? '')) list.push(readRow(cells, i + 1));
  }
  return result;
}

function readRow(cells: string[], line: number): Row {
  const [scenario = '', step = ''] = cells.map((cell) => cell.replaceAll('`', ''));
  const numbers = step.replace(/\bflaky\b/, '').trim();
  const steps = numbers === '*' ? 'all' : numbers.split(',').map((part) => range(part.trim(), line));
  return { scenario, steps, flaky: /\bflaky\b/.test(step), line, text: `${scenario} ${step}` };
}

function range(text: string, line: number) {
  const [, from, to = from] = text.match(/^(\d+)(?:\s*[-–]\s*(\d+))?$/) ?? [];
  if (from === undefined) throw new Error(`docs/deviations.md line ${line}: "${text}" is no step: write 3, 3-7 or *`);
  return { from: Number(from), to: Number(to), text };
}

/** A row's scenario may hold `*` for any characters but a slash. */
export function concerns(row: Row, scenario: string, step?: number): boolean {
  const pattern = row.scenario.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('[^/]*');
  if (!new RegExp(`^${pattern}$`).test(scenario)) return false;
  return step === undefined || row.steps === 'all' || row.steps.some(({ from, to }) => from <= step && step <= to);
}

/** What a row says that is no longer so: each number or range it lists must still cover a difference. */
export function staleParts(row: Row, differing: { scenario: string; step: number }[]): string[] {
  if (row.flaky) return [];
  const steps = differing.filter(({ scenario }) => concerns(row, scenario)).map(({ step }) => step);
  if (row.steps === 'all') return steps.length ? [] : ['*'];
  return row.steps.filter(({ from, to }) => !steps.some((step) => from <= step && step <= to)).map(({ text }) => text);
}
