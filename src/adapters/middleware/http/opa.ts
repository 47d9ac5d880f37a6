// middleware.http.opa: a policy in Rego decides about each request, `data.http.allow` (Dapr runs Open Policy Agent for this, we a Rego interpreter of our own).
import { bodyOf, brokenBody } from '../../../blocks/middleware/body.ts';
import { canonical } from '../../../blocks/invoke/headers.ts';
import { textOf } from '../../../core/errors.ts';
import { bool, int, parseWhole, stringMap, struct } from '../../../core/go-json.ts';
import { headerValues, withHeader } from '../../../core/headers.ts';
import { BodyTooLarge } from '../../../core/host.ts';
import { field, isTruthy, MetadataError, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware, type MiddlewareAnswer, type MiddlewareRequest } from '../../../blocks/middleware/port.ts';
import { statusAnswer } from '../answers.ts';
import { goRegExpCompiler } from '../go-regexp.ts';
import { readPolicy } from '../rego/policy.ts';
import { parseQuery, urlOf } from '../url.ts';

const decision = struct('opa.RegoResult', { allow: bool, additional_headers: stringMap, status_code: int });

export default defineHttpMiddleware({
  type: 'middleware.http.opa',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Asks a policy written in Rego about each request. Functions of Rego that Outrigger does not have (`http.send`, signatures, hashes and the like) are refused when the component loads.',
  metadata: schema({
    rego: field.text().default('').describe('The policy, Rego version 0 or `import rego.v1`: package http, rule `allow`: true, false or an object with allow, status_code and additional_headers'),
    defaultStatus: field.text().default('403').describe('Status of a refusal that names none, and of a policy that fails; one without a name in HTTP means 500'),
    includedHeaders: field.text().default('').describe('Headers the policy gets to see, separated by commas'),
    readBody: field.text().default('false').describe('The policy gets to see the body'),
  }),
  open: async ({ rego, defaultStatus, includedHeaders, readBody }, { log }) => {
    if (!/^([+-]?\d+)?$/.test(defaultStatus)) throw new MetadataError(`1 error(s) decoding:\n\n* cannot parse 'defaultStatus' as int: strconv.ParseInt: parsing ${JSON.stringify(defaultStatus)}: invalid syntax`);
    const status = Number(defaultStatus);
    const policy = readPolicy(rego, await goRegExpCompiler());
    if (policy.package !== 'http') log.warn(`the policy is of package ${policy.package}, not http: it refuses everything`);
    const shown = includedHeaders.split(',').map((name) => canonical(name.replaceAll(' ', ''))).filter((name) => name !== '' && name !== 'Host');
    const failed = (why: string): MiddlewareAnswer => {
      log.warn(`Error processing rego policy: ${why}`);
      const answer = statusAnswer(status);
      return { ...answer, headers: withHeader(answer.headers, 'x-dapr-opa-error', 'true') };
    };

    return {
      handle: async (came, next) => {
        const { request, text } = isTruthy(readBody) && came.body !== null ? await withText(came) : { request: came, text: '' };
        let result: unknown;
        try {
          result = policy.package === 'http' ? policy.evaluate('allow', inputOf(request, shown, text)) : undefined;
        } catch (error) {
          return failed(textOf(error));
        }
        if (result === undefined) return failed('received no results back from rego policy. Are you setting data.http.allow?');
        if (typeof result === 'boolean') return result ? next(request) : statusAnswer(status);
        if (typeof result !== 'object' || result === null || Array.isArray(result)) return failed('got an invalid type back from repo policy. Only a boolean or map is valid');
        let read: ReturnType<typeof decision.read>;
        try {
          read = decision.read(parseWhole(JSON.stringify(result)), '');
        } catch (error) {
          return failed(textOf(error));
        }
        const headers = Object.entries(read.additional_headers);
        if (read.allow) return next({ ...request, headers: headers.reduce((list, [name, value]) => withHeader(list, name, value), request.headers) });
        // Go keeps what it had where the policy names no status, a null included
        const answer = statusAnswer('status_code' in result && result.status_code !== null ? read.status_code : status);
        return { ...answer, headers: [...headers.filter(([name]) => name.toLowerCase() !== 'content-type').flat(), ...answer.headers] };
      },
      close: async () => undefined,
    };
  },
});

/** The body read, and put back. One that is too long or broken is an error for whoever reads it next; the policy sees what came of it. */
async function withText(request: MiddlewareRequest): Promise<{ request: MiddlewareRequest; text: string }> {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  try {
    const bytes = (await request.body?.bytes()) ?? new Uint8Array(0);
    return { request: { ...request, body: bodyOf(bytes) }, text: decode(bytes) };
  } catch (error) {
    return { request: { ...request, body: brokenBody(error) }, text: error instanceof BodyTooLarge && error.received ? decode(error.received) : '' };
  }
}

/** What the policy sees as `input`. */
function inputOf(request: MiddlewareRequest, shown: readonly string[], body: string): unknown {
  const { path, query } = urlOf(request.target);
  const parameters = new Map<string, string[]>();
  for (const [name, value] of parseQuery(query)) parameters.set(name, [...(parameters.get(name) ?? []), value]);
  const headers = shown.map((name) => [name, headerValues(request.headers, name)] as const).filter(([, values]) => values.length > 0);
  return {
    request: {
      method: request.method,
      path,
      path_parts: path.replace(/^\/+|\/+$/g, '').split('/'),
      raw_query: query,
      query: Object.fromEntries(parameters),
      headers: Object.fromEntries(headers.map(([name, values]) => [name, values.join(', ')])),
      scheme: request.scheme,
      body,
    },
  };
}
