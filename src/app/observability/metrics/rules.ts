// spec.metrics.rules: label values that match an expression are replaced before they are counted (dapr/pkg/diagnostics/utils, CreateRulesMap).
import { textOf } from '../../../core/errors.ts';
import type { MetricsSpec } from '../../../blocks/resources/kinds.ts';

/** What a label's value becomes; `name` is the series without `dapr_`. */
export type LabelRules = (name: string, label: string, value: string) => string;

/** undefined: no rules. A rule with an expression that is none is left out, and told of. */
export function createLabelRules(specs: MetricsSpec['rules'], onBad: (message: string) => void): LabelRules | undefined {
  const rules = new Map<string, { expression: RegExp; replacement: (...match: unknown[]) => string }[]>();
  for (const { name, labels } of specs) {
    const bare = plain(name);
    for (const label of labels) {
      const pairs: { expression: RegExp; replacement: (...match: unknown[]) => string }[] = [];
      for (const [replacement, source] of Object.entries(label.regex)) {
        try {
          pairs.push({ expression: expressionOf(source), replacement: templateOf(replacement) });
        } catch (error) {
          onBad(`failed to compile regex for rule ${bare}${label.name}/${replacement}: ${textOf(error)}`);
        }
      }
      rules.set(`${bare} ${label.name}`, pairs);
    }
  }
  if (rules.size === 0) return undefined;
  return (name, label, value) => {
    let out = value;
    for (const { expression, replacement } of rules.get(`${plain(name)} ${label}`) ?? []) out = out.replace(expression, replacement);
    return out;
  };
}

/** `dapr_http_server_latency`, `http_server_latency` and `http/server/latency` are one name. */
const plain = (name: string): string => name.replace('dapr_', '').replace(/[_.]/g, '/');

/** Go's syntax as far as JavaScript spells it otherwise: flags in front, named groups, ends of the text, POSIX classes. */
function expressionOf(source: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([imsU]+)\))?([\s\S]*)$/.exec(source) ?? [];
  if (flags.includes('U')) throw new Error('the flag U is not supported');
  const spelled = rest.replaceAll('(?P<', '(?<').replace(/\\A/g, '^').replace(/\\z/g, '$').replace(/\[:(\w+):\]/g, (all, name: string) => posix[name] ?? all);
  return new RegExp(spelled, `g${flags}`);
}
const posix: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z', alpha: 'A-Za-z', digit: '0-9', lower: 'a-z', upper: 'A-Z', space: '\\t\\n\\v\\f\\r ', word: '\\w', xdigit: '0-9A-Fa-f', punct: '!-\\/:-@\\[-`{-~', blank: '\\t ',
};

/** Fills in `$1`, `${1}`, `$name`, `${name}` and `$$`, the way Go does; a group that is not there is empty. */
function templateOf(text: string): (...match: unknown[]) => string {
  return (...match) => {
    const named = typeof match.at(-1) === 'object' ? (match.at(-1) as Record<string, string | undefined>) : {};
    const groups = match.slice(0, match.findIndex((part) => typeof part === 'number'));
    return text.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar?: string, braced?: string, bare?: string) => {
      if (dollar !== undefined) return '$';
      const name = (braced ?? bare) as string;
      return (/^\d+$/.test(name) ? (groups[Number(name)] as string | undefined) : named[name]) ?? '';
    });
  };
}
