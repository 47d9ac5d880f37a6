// Regular expressions in component metadata: Go's RE2, in syntax, in error texts, and in taking linear time whatever a caller sends.
import { textOf } from '../../core/errors.ts';

export interface GoRegExp {
  /** Whether it matches anywhere in the text. */
  test(text: string): boolean;
  /** The groups of the first match, the whole at 0; undefined without one. */
  groups(text: string): (string | undefined)[] | undefined;
  readonly groupCount: number;
  /** The groups of every match, at most so many; negative: all. */
  all(text: string, most: number): string[][];
  split(text: string): string[];
  /** Every match replaced; `$1`, `$name` and `${name}` stand for groups. */
  replace(text: string, by: string): string;
}

/** Rejects with Go's words, "error parsing regexp: …". */
export async function goRegExp(pattern: string): Promise<GoRegExp> {
  return (await goRegExpCompiler())(pattern);
}

/** Compiles without waiting; what it returns throws Go's words. */
export async function goRegExpCompiler(): Promise<(pattern: string) => GoRegExp> {
  const { RE2JS } = await import('re2js');
  return (pattern) => {
    let compiled: InstanceType<typeof RE2JS>;
    try {
      compiled = RE2JS.compile(pattern);
    } catch (error) {
      const text = textOf(error);
      throw new Error(text.startsWith('error parsing regexp') ? text : `error parsing regexp: ${text}`, { cause: error });
    }
    const groupCount = compiled.groupCount();
    const names = compiled.namedGroups();
    const matchesOf = (text: string, most = -1): Match[] => {
      const matcher = compiled.matcher(text);
      const found: Match[] = [];
      while ((most < 0 || found.length < most) && matcher.find()) {
        found.push({ start: matcher.start(), end: matcher.end(), groups: Array.from({ length: groupCount + 1 }, (_, i) => matcher.group(i) ?? undefined) });
      }
      return found;
    };
    return {
      groupCount,
      test: (text) => compiled.matcher(text).find(),
      groups: (text) => matchesOf(text, 1)[0]?.groups,
      all: (text, most) => matchesOf(text, most).map(({ groups }) => groups.map((group) => group ?? '')),
      split: (text) => {
        let at = 0;
        const parts: string[] = [];
        for (const { start, end } of matchesOf(text)) {
          if (end === 0) continue;
          parts.push(text.slice(at, start));
          at = end;
        }
        return [...parts, text.slice(at)];
      },
      replace: (text, by) => {
        let out = '';
        let at = 0;
        for (const { start, end, groups } of matchesOf(text)) {
          // Go's Regexp.Expand: the longest name after $ counts, `$$` is a dollar
          const put = by.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_all, dollar: string | undefined, braced: string | undefined, bare: string | undefined) => {
            const name = braced ?? bare ?? '';
            return dollar ?? (/^\d+$/.test(name) ? groups[Number(name)] : groups[names[name] ?? -1]) ?? '';
          });
          out += text.slice(at, start) + put;
          at = end;
        }
        return out + text.slice(at);
      },
    };
  };
}
interface Match {
  start: number;
  end: number;
  groups: (string | undefined)[];
}
