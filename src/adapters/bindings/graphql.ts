// bindings.graphql: queries and mutations of a GraphQL server.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { any, list, parseFirst, string, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import { type Exact, printExact, printTexts, quote } from '../../core/json-exact.ts';
import { field, schema } from '../../core/metadata.ts';
import { stopwatch } from './stopwatch.ts';
import { headerOf, targetOf } from './target.ts';

const json = 'application/json; charset=utf-8';
const answerShape = struct('graphql.graphResponse', { data: any, errors: list(struct('graphql.graphErr', { message: string })) });
const failure = (why: string, cause?: unknown) => new AdapterError('invalid', `GraphQL Error: ${why}`, cause);

/** What follows the prefix in the names that have it. */
const prefixed = (texts: Readonly<Record<string, string>>, prefix: string): [string, string][] => Object.entries(texts).flatMap(([name, value]): [string, string][] => (name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : []));

export default defineBinding({
  type: 'bindings.graphql',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Asks a GraphQL server, or has it change something. Entries named `header:X` are sent as header X with every call.',
  metadata: schema({
    endpoint: field.text().default('').describe('Address of the GraphQL server. Required'),
  }),
  open: async ({ endpoint }, { host, properties }) => {
    if (endpoint === '') throw new Error('GraphQL Error: Missing GraphQL URL');
    const ownHeaders = prefixed(properties, 'header:');

    const ask = async (text: string, metadata: Record<string, string>, signal: AbortSignal | undefined): Promise<string> => {
      const failed = (why: string, cause?: unknown) => failure(`Post ${JSON.stringify(endpoint)}: ${why}`, cause);
      const target = targetOf(endpoint);
      if (typeof target === 'string') throw failed(target);
      const headers = new Map([['Content-Type', json], ['Accept', json]]);
      if (target.authorization !== undefined) headers.set('Authorization', target.authorization);
      const variables = prefixed(metadata, 'variable:');
      let answer: string;
      try {
        for (const [name, value] of [...ownHeaders, ...prefixed(metadata, 'header:')]) {
          const header = headerOf(name, value);
          if (header !== undefined) headers.set(...header);
        }
        const body = `{"query":${quote(text)},"variables":${variables.length === 0 ? 'null' : printTexts(Object.fromEntries(variables))}}\n`;
        const response = await host.http.send({ method: 'POST', origin: target.origin, path: target.path, headers: [...headers].flat(), body: utf8(body), followRedirects: true, ...(signal ? { signal } : {}) });
        answer = textOfBytes((await readBody(response.body)).bytes);
      } catch (error) {
        throw failed(textOf(error), error);
      }
      let read: { data: unknown; errors: { message: string }[] };
      try {
        read = answerShape.read(parseFirst(answer), '');
      } catch (error) {
        throw failure(`decoding response: ${textOf(error)}`, error);
      }
      const [first] = read.errors;
      if (first !== undefined) throw failure(`graphql: ${first.message}`);
      return printExact((read.data ?? null) as Exact);
    };

    return {
      operations: ['query', 'mutation'],
      invoke: async ({ operation, metadata }, { signal }) => {
        const took = stopwatch();
        const text = metadata[operation]?.trim();
        if (!metadata[operation]) throw failure(`required ${JSON.stringify(operation)} not set`);
        // Short forms such as `{ a }` are not told apart from other text.
        if (!new RegExp(`^${operation}\\b`).test(text as string)) throw failure(`command is not a ${operation}`);
        const data = utf8(await ask(text as string, metadata, signal));
        return { data, metadata: { operation, ...took() } };
      },
      close: async () => undefined,
    };
  },
});
