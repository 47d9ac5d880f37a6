// Regular expressions in component metadata: Go's RE2, in syntax, in error texts, and in taking linear time whatever a caller sends.
import { textOf } from '../../core/errors.ts';

export interface GoRegExp {
  /** Whether it matches anywhere in the text. */
  test(text: string): boolean;
  /** The groups of the first match, the whole at 0; undefined without one. */
  groups(text: string): (string | undefined)[] | undefined;
  readonly groupCount: number;
}

/** Rejects with Go's words, "error parsing regexp: …". */
export async function goRegExp(pattern: string): Promise<GoRegExp> {
  const { RE2JS } = await import('re2js');
  let compiled: InstanceType<typeof RE2JS>;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    const text = textOf(error);
    throw new Error(text.startsWith('error parsing regexp') ? text : `error parsing regexp: ${text}`, { cause: error });
  }
  const groupCount = compiled.groupCount();
  return {
    groupCount,
    test: (text) => compiled.matcher(text).find(),
    groups: (text) => {
      const matcher = compiled.matcher(text);
      return matcher.find() ? Array.from({ length: groupCount + 1 }, (_, i) => matcher.group(i) ?? undefined) : undefined;
    },
  };
}
