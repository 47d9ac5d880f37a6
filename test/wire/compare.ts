// How what was seen is compared with what was recorded.
import { parseJson, type Step } from './scenario.ts';

/**
 * `hard`: status, header values or the meaning of a body differ. `soft`: the same JSON value in other bytes.
 * `wording`: another text where the recorded one is only wording of a Go library (the step says so).
 * `defect`: a step in which daprd is plainly wrong; better answers are welcome. Only `hard` fails.
 */
export type Kind = 'hard' | 'defect' | 'wording' | 'soft';
export type Difference = { at: string; kind: Kind; want: unknown; got: unknown };

/** The differences of one step, each with its kind. */
export function compareStep(step: Step, seen: object | undefined): Difference[] {
  if (step.expect === undefined) return [];
  if (seen === undefined) return [{ at: '', kind: 'hard', want: 'the step to run', got: 'it did not' }];
  return differences(step.expect, seen).map((difference) => (difference.kind === 'hard' ? { ...difference, kind: lenient(step, difference.at) } : difference));
}

function lenient(step: Step, at: string): Kind {
  if (step.about?.startsWith('daprd defect')) return 'defect';
  // what a client decides on is never mere wording
  if (step.wording === 'go' && !/(^|\.)(status|errorCode|headers\.[^.]*|method|target)$/.test(at)) return 'wording';
  return 'hard';
}

export function differences(want: unknown, got: unknown, at = ''): Difference[] {
  if (typeof want === 'string' && typeof got === 'string') return textDifferences(want, got, at);
  if (Array.isArray(want) && Array.isArray(got)) {
    if (want.length !== got.length) return [{ at, kind: 'hard', want, got }];
    return want.flatMap((item, i) => differences(item, got[i], `${at}[${i}]`));
  }
  if (isObject(want) && isObject(got)) {
    const keys = new Set([...Object.keys(want), ...Object.keys(got)]);
    return [...keys].flatMap((key) => differences(want[key], got[key], at ? `${at}.${key}` : key));
  }
  return Object.is(want, got) ? [] : [{ at, kind: 'hard', want, got }];
}

function textDifferences(want: string, got: string, at: string): Difference[] {
  if (want === got || fitsPattern(want, got)) return [];
  const [wanted, found] = [parseJson(want), parseJson(got)];
  if (wanted === undefined || found === undefined || typeof wanted !== 'object') return [{ at, kind: 'hard', want, got }];
  const inner = differences(wanted, found, at);
  return inner.length ? inner : [{ at, kind: 'soft', want, got }];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

// <<any>> and <<int>> are written into recordings by hand: that part may be anything, or digits
function fitsPattern(want: string, got: string): boolean {
  if (!want.includes('<<any>>') && !want.includes('<<int>>')) return false;
  const parts = want.split(/(<<any>>|<<int>>)/).map((part) => (part === '<<any>>' ? '[\\s\\S]*' : part === '<<int>>' ? '\\d+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return new RegExp(`^${parts.join('')}$`).test(got);
}

/** The most serious kind among a step's differences; undefined when there are none. */
export const worst = (list: Difference[]): Kind | undefined =>
  (['hard', 'defect', 'wording', 'soft'] as const).find((kind) => list.some((difference) => difference.kind === kind));
