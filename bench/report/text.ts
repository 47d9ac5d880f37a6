// The tables and bars of the terminal.
import { median } from '../load/samples.ts';
import type { Measured, Row } from '../rounds.ts';

export type ProcessRow = { name: string; readyMs: number; idleRssMb: number; idleAnonMb: number; loadedRssMb?: number; loadedAnonMb?: number };

export function scenarioTable({ title, rate, rows }: Measured): string {
  const direct = rows.find(({ role }) => role === 'direct');
  const bare = rows.find(({ role }) => role === 'bare');
  const plain = rows.find(({ role }) => role === 'plain');
  const most = Math.max(...rows.map(({ perSecond }) => perSecond));
  const cells = rows.map((row) => [
    row.name,
    whole(row.perSecond),
    ratio(row, bare),
    ratio(row, direct),
    ratio(row, plain),
    `${whole(Math.min(...row.rounds))}–${whole(Math.max(...row.rounds))}`,
    row.cores.toFixed(2),
    ms(row.p50),
    ms(row.p90),
    ms(row.p99),
    whole(row.cpuMicros),
    trouble(row),
    bar(row.perSecond / most),
  ]);
  return `${title}   (latency at ${whole(rate)}/s)\n${table(['', 'req/s', '÷ bare', '÷ app', '÷ unwatched', 'rounds', 'cores', 'p50 ms', 'p90', 'p99', 'CPU µs', '', ''], cells)}`;
}

export function processTable(rows: ProcessRow[]): string {
  const memory = (rss?: number, anon?: number) => (rss === undefined || anon === undefined ? '' : `${whole(rss)} (${whole(anon)})`);
  return table(
    ['', 'ready ms', 'idle MB (anonymous)', 'after load MB'],
    rows.map((row) => [row.name, whole(row.readyMs), memory(row.idleRssMb, row.idleAnonMb), memory(row.loadedRssMb, row.loadedAnonMb)]),
  );
}

// round by round, then the median: neighbours in time had the same weather
function ratio({ rounds }: Row, to: Row | undefined): string {
  return to ? median(rounds.map((perSecond, i) => perSecond / (to.rounds[i] ?? Number.NaN))).toFixed(2) : '';
}

const trouble = ({ errors, lost, kept }: Row) => [errors ? `${errors} errors` : '', lost ? `${lost} lost` : '', kept < 0.99 ? `kept ${Math.round(kept * 100)} %` : ''].filter(Boolean).join(', ');
const bar = (share: number) => '█'.repeat(Math.max(1, Math.round(share * 24)));
/** Nothing where nothing was completed. */
const ms = (value: number | null) => (value === null || Number.isNaN(value) ? '' : value < 10 ? value.toFixed(2) : value.toFixed(1));
const whole = (value: number) => Math.round(value).toLocaleString('en-US');

/** The first and the last column are aligned left, the others right. */
function table(head: string[], rows: string[][]): string {
  const used = head.map((name, i) => name !== '' || rows.some((row) => row[i]));
  const lines = [head, ...rows].map((line) => line.filter((_, i) => used[i]));
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0))) ?? [];
  return lines.map((line) => `  ${line.map((cell, i) => (i === 0 || /^█|^$/.test(cell) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}`.trimEnd()).join('\n');
}
