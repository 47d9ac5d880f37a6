// W3C baggage as OpenTelemetry's Go library reads it: which headers Dapr refuses, and in which words.
import { goQuoteBytes } from './go-quote.ts';

const most = { members: 64, bytes: 8192 };
const key = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const value = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;
const property = /^[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*(?:=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*[ \t]*)?$/;
const badEscape = /%(?![0-9a-fA-F]{2}).{0,2}/s;

/** What is wrong with the value of a baggage header (several headers joined by commas); undefined when nothing is. Several faults stand on lines of their own. */
export function baggageProblem(text: string): string | undefined {
  if (text === '') return undefined;
  const problems: string[] = [];
  const names = new Set<string>();
  let bytes = 0;
  for (const member of text.split(',')) {
    if (names.size >= most.members) {
      problems.push('too many list-members in baggage-string');
      break;
    }
    const problem = memberProblem(member, (name) => names.add(name));
    if (problem !== undefined) problems.push(problem);
    else if ((bytes += member.trim().length + (names.size > 1 ? 1 : 0)) > most.bytes) {
      problems.push('baggage-string too large');
      break;
    }
  }
  return problems.length > 0 ? problems.join('\n') : undefined;
}

function memberProblem(member: string, found: (name: string) => void): string | undefined {
  const [pair = '', ...properties] = member.split(';');
  for (const one of properties) if (one !== '' && !property.test(one)) return `invalid baggage list-member property: ${goQuoteBytes(one)}`;
  const equals = pair.indexOf('=');
  if (equals < 0) return `invalid baggage list-member: ${goQuoteBytes(member)}`;
  const name = pair.slice(0, equals).trim();
  if (!key.test(name)) return `invalid key: ${goQuoteBytes(name)}`;
  const content = pair.slice(equals + 1);
  if (!value.test(content.trim())) return `invalid value: ${goQuoteBytes(content)}`;
  const stray = badEscape.exec(content.trim());
  if (stray) return `invalid value: invalid URL escape ${goQuoteBytes(stray[0])}`;
  found(name);
  return undefined;
}
