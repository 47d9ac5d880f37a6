// The series of this sidecar: families with fixed labels, their members bound once and then only counted up, the exposition text made when asked for.
import { goFloat } from './go-float.ts';
import type { LabelRules } from './rules.ts';

export interface FamilySpec {
  /** Without the prefix `dapr_`. */
  name: string;
  help: string;
  labels: readonly string[];
}

export interface Counter {
  value: number;
}
export interface Gauge {
  set(value: number): void;
}
/** Dapr's histograms: a value that equals a bound counts above it (OpenCensus), unlike in Prometheus' own libraries. */
export interface Histogram {
  observe(value: number): void;
}
export type Labels = Readonly<Record<string, string>>;

export interface Registry {
  counter(spec: FamilySpec): (labels: Labels) => Counter;
  gauge(spec: FamilySpec): (labels: Labels) => Gauge;
  histogram(spec: FamilySpec, bounds: readonly number[]): (labels: Labels) => Histogram;
  /** All series that were used, families by name, members by label values. */
  text(): string;
}

/** More members than this a family does not get: the next ones are counted together, under empty labels where callers choose the values. */
export const mostMembers = 2000;
/** Labels whose values nobody outside chooses. */
const bounded = new Set(['app_id', 'namespace', 'method', 'status', 'success', 'process_status', 'type', 'policy', 'flow_direction', 'reason', 'category', 'error_code']);
/** As in OpenCensus; longer values are cut (there the measurement is lost). */
const longestValue = 255;

interface Member {
  values: readonly string[];
  lines(out: string[]): void;
}
interface Family<M extends Member> {
  head: string;
  members: Map<string, M>;
  sorted: M[] | undefined;
}

export function createRegistry(options: { rules?: LabelRules | undefined; onFull?(family: string): void } = {}): Registry {
  const families = new Map<string, Family<Member>>();

  const family = <M extends Member>({ name, help, labels }: FamilySpec, type: string, make: (prefix: string, text: string, values: readonly string[]) => M): ((given: Labels) => M) => {
    const full = `dapr_${name}`;
    const names = [...labels].sort();
    const own: Family<M> = { head: `# HELP ${full} ${escaped(help)}\n# TYPE ${full} ${type}\n`, members: new Map(), sorted: undefined };
    families.set(full, own);
    let told = false;
    const member = (values: readonly string[]): M => {
      const key = values.join('\u0000');
      let found = own.members.get(key);
      if (found !== undefined) return found;
      if (own.members.size >= mostMembers) {
        if (!told) options.onFull?.(full);
        told = true;
        const folded = values.map((value, i) => (bounded.has(names[i] as string) ? value : ''));
        if (folded.some((value, i) => value !== values[i])) return member(folded);
      }
      found = make(full, names.map((label, i) => `${label}="${quoted(values[i] as string)}"`).join(','), values);
      own.members.set(key, found);
      own.sorted = undefined;
      return found;
    };
    return (given) => member(names.map((label) => {
      const value = given[label] ?? '';
      return (options.rules === undefined || value === '' ? value : options.rules(name, label, value)).slice(0, longestValue).toWellFormed();
    }));
  };

  return {
    counter: (spec) => family(spec, 'counter', (name, text, values) => new CounterMember(name, text, values)),
    gauge: (spec) => family(spec, 'gauge', (name, text, values) => new GaugeMember(name, text, values)),
    histogram: (spec, bounds) => family(spec, 'histogram', (name, text, values) => new HistogramMember(name, text, values, bounds)),
    text: () => {
      const out: string[] = [];
      for (const name of [...families.keys()].sort()) {
        const own = families.get(name) as Family<Member>;
        if (own.members.size === 0) continue;
        own.sorted ??= [...own.members.values()].sort(byValues);
        const before = out.push(own.head);
        for (const member of own.sorted) member.lines(out);
        if (out.length === before) out.pop();
      }
      return out.join('');
    },
  };
}

class CounterMember implements Member, Counter {
  value = 0;
  readonly values: readonly string[];
  readonly #series: string;
  constructor(name: string, labels: string, values: readonly string[]) {
    this.values = values;
    this.#series = series(name, labels);
  }
  lines(out: string[]): void {
    if (this.value !== 0) out.push(`${this.#series} ${goFloat(this.value)}\n`);
  }
}

class GaugeMember implements Member, Gauge {
  readonly values: readonly string[];
  readonly #series: string;
  #value: number | undefined;
  constructor(name: string, labels: string, values: readonly string[]) {
    this.values = values;
    this.#series = series(name, labels);
  }
  set(value: number): void { this.#value = value; }
  lines(out: string[]): void {
    if (this.#value !== undefined) out.push(`${this.#series} ${goFloat(this.#value)}\n`);
  }
}

class HistogramMember implements Member, Histogram {
  readonly values: readonly string[];
  // not #private: engines other than V8 pay for such fields with each use
  private readonly counts: Float64Array;
  private readonly bounds: readonly number[];
  private readonly name: string;
  private readonly labels: string;
  private sum = 0;
  constructor(name: string, labels: string, values: readonly string[], bounds: readonly number[]) {
    this.name = name;
    this.labels = labels;
    this.values = values;
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }
  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value >= (bounds[i] as number)) i++;
    (this.counts[i] as number)++;
    this.sum += value;
  }
  lines(out: string[]): void {
    const { name, labels, bounds, counts } = this;
    let count = 0;
    for (const each of counts) count += each;
    if (count === 0) return;
    const start = `${name}_bucket{${labels}${labels === '' ? '' : ','}le="`;
    let below = 0;
    for (let i = 0; i < bounds.length; i++) {
      below += counts[i] as number;
      out.push(`${start}${goFloat(bounds[i] as number)}"} ${goFloat(below)}\n`);
    }
    out.push(`${start}+Inf"} ${goFloat(count)}\n`, `${series(`${name}_sum`, labels)} ${goFloat(this.sum)}\n`, `${series(`${name}_count`, labels)} ${goFloat(count)}\n`);
  }
}

const series = (name: string, labels: string): string => (labels === '' ? name : `${name}{${labels}}`);
const escaped = (text: string): string => text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
const quoted = (text: string): string => text.replace(/[\\\n"]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

function byValues(a: Member, b: Member): number {
  for (let i = 0; i < a.values.length; i++) {
    const [left, right] = [a.values[i] as string, b.values[i] as string];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
