// Turns the differences of played scenarios into verdicts, counts and lines for people.
import { type Difference, type Kind, worst } from './compare.ts';
import { concerns, type Deviations, staleParts } from './deviations.ts';
import type { Played } from './play.ts';
import type { Step } from './scenario.ts';

type Verdict = 'identical' | Exclude<Kind, 'hard'> | 'deviation' | 'failed' | 'skipped';
export type JudgedStep = { step: number; about: string; verdict: Verdict; differences: Difference[] };
export type Outcome = { name: string; ms: number; failure?: string; steps: JudgedStep[]; logs: Record<string, string> };

export function judge(name: string, table: Deviations, steps: { step: Step; i: number; differences: Difference[] }[], played: Played, ms: number): Outcome {
  const judged = steps.map(({ step, i, differences }): JudgedStep => {
    const about = step.about ?? (step.send ? `${step.send.method ?? 'RAW'} ${step.send.target ?? ''}` : (Object.keys(step)[0] ?? ''));
    const listed = (rows: Deviations['meant']) => rows.some((row) => concerns(row, name, i));
    const kind = worst(differences) ?? 'identical';
    const verdict = listed(table.notBuilt) ? 'skipped' : kind !== 'hard' ? kind : listed(table.meant) ? 'deviation' : 'failed';
    return { step: i, about, verdict, differences };
  });
  return { name, ms, ...(played.failure ? { failure: played.failure } : {}), steps: judged, logs: played.logs };
}

/** Prints what is worth reading about one scenario. */
export function tell({ name, ms, failure, steps, logs }: Outcome, verbose: boolean): void {
  const failed = steps.filter(({ verdict }) => verdict === 'failed');
  if (!failed.length && !verbose) return;
  const good = steps.filter(({ verdict }) => verdict !== 'failed' && verdict !== 'skipped').length;
  console.log(`${failed.length ? 'DIFFERS' : good ? 'same   ' : 'skipped'} ${name}  (${good}/${steps.length}, ${(ms / 1000).toFixed(1)} s)`);
  if (failure) console.log(`   broke off: ${failure}`);
  for (const { step, about, verdict, differences } of verbose ? steps : failed) {
    for (const { at, kind, want, got } of differences) {
      if (kind !== 'hard' && !verbose) continue;
      console.log(`   step ${step} ${about}\n      ${kind === 'hard' ? verdict : kind} ${at}\n      want ${clip(want)}\n      got  ${clip(got)}`);
    }
  }
  if (verbose && failed.length) for (const [id, log] of Object.entries(logs)) console.log(`   log of ${id}:\n${log.replace(/^/gm, '      ')}`);
}

export function summary(outcomes: Outcome[], table: Deviations) {
  const steps = outcomes.flatMap((outcome) => outcome.steps);
  const count = (verdict: Verdict) => steps.filter((step) => step.verdict === verdict).length;
  const differing = outcomes.flatMap(({ name, steps }) =>
    steps.filter(({ differences }) => worst(differences) === 'hard').map(({ step }) => ({ scenario: name, step })),
  );
  // a row is judged only when all it may concern was played
  const stale = table.meant
    .filter((row) => outcomes.some(({ name }) => concerns(row, name)))
    .flatMap((row) => staleParts(row, differing).map((part) => `docs/deviations.md line ${row.line}: ${row.scenario} step ${part} no longer differs`));
  const skipped = count('skipped');
  const failed = count('failed') + stale.length;
  const passed = steps.length - count('failed') - skipped;
  const text = [
    ...stale.map((line) => `STALE   ${line}`),
    `${outcomes.length} scenarios, ${steps.length} steps: ${count('identical')} identical, ${count('soft')} same meaning in other bytes, ${count('wording')} other wording, ` +
      `${count('defect')} where daprd is wrong, ${count('deviation')} deviations on purpose, ${count('failed')} differ, ${skipped} not built yet, ${stale.length} stale rows`,
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
  ].join('\n');
  return { counts: { passed, failed, skipped }, stale, text };
}

const clip = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '(absent)');
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
};
