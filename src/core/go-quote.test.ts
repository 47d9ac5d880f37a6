import { expect, test } from 'vitest';
import { goQuote, goQuoteBytes } from './go-quote.ts';

test.each([['LIKE', '"LIKE"'], ['a"b\\', '"a\\"b\\\\"'], ['ü💡', '"ü💡"'], ['\u0007\n\u0001', '"\\a\\n\\x01"'], ['\u200b', '"\\u200b"'], ['', '""']])('%j is quoted as %s', (text, quoted) => expect(goQuote(text)).toBe(quoted));
test('bytes that are no UTF-8', () => expect(goQuoteBytes('a\xff')).toBe('"a\\xff"'));
