// middleware.http.routerchecker: only targets that match a regular expression get through.
import { textOf } from '../../../core/errors.ts';
import { field, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware } from '../../../blocks/middleware/port.ts';
import { textAnswer } from '../answers.ts';
import { goRegExp } from '../go-regexp.ts';
import { urlOf } from '../url.ts';

export default defineHttpMiddleware({
  type: 'middleware.http.routerchecker',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Refuses requests whose path and query do not match a regular expression, with 400.',
  metadata: schema({ rule: field.text().default('').describe('Regular expression (RE2) that must match somewhere in the escaped path and query') }),
  open: async ({ rule }) => {
    const allowed = await goRegExp(rule).catch((error: unknown) => { throw new Error(`failed to compile rule regexp: ${textOf(error)}`, { cause: error }); });
    return {
      handle: async (request, next) => {
        const { escapedPath, query, hasQuery } = urlOf(request.target);
        return allowed.test(hasQuery ? `${escapedPath}?${query}` : escapedPath) ? next(request) : textAnswer(400, 'invalid router');
      },
      close: async () => undefined,
    };
  },
});
