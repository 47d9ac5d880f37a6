// A schema registry with the part of Confluent's REST API that clients read, and register through. Not Confluent's: that is a Java server from a repository of its own.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SchemaRegistryOptions {
  /** `user:password` that requests must carry. */
  credentials?: string;
}
const contentType = 'application/vnd.schemaregistry.v1+json';

/** `register` gives the number of a schema, the same for the same text. `requests` are the paths asked for; while `down` is true every answer is a 500. */
export async function startSchemaRegistry({ credentials }: SchemaRegistryOptions = {}) {
  const schemas: string[] = [];
  const subjects = new Map<string, number[]>();
  const state = { requests: [] as string[], down: false };

  const register = (subject: string, schema: unknown): number => {
    const text = JSON.stringify(schema);
    const known = schemas.indexOf(text);
    const id = known >= 0 ? known + 1 : schemas.push(text);
    const versions = subjects.get(subject) ?? [];
    if (!versions.includes(id)) subjects.set(subject, [...versions, id]);
    return id;
  };
  const failed = (status: number, error_code: number, message: string): [number, unknown] => [status, { error_code, message }];
  const answer = (method: string, path: string, authorization: string | undefined): [number, unknown] => {
    if (state.down) return failed(500, 50001, 'Error in the backend data store');
    if (credentials !== undefined && authorization !== `Basic ${btoa(credentials)}`) return failed(401, 401, 'Unauthorized');
    const byId = /^\/schemas\/ids\/(\d+)$/.exec(path);
    if (method === 'GET' && byId !== null) {
      const schema = schemas[Number(byId[1]) - 1];
      return schema === undefined ? failed(404, 40403, 'Schema not found') : [200, { schema }];
    }
    const byVersion = /^\/subjects\/([^/]+)\/versions\/(latest|\d+)$/.exec(path);
    if (method === 'GET' && byVersion !== null) {
      const subject = decodeURIComponent(byVersion[1] as string);
      const versions = subjects.get(subject);
      if (versions === undefined) return failed(404, 40401, `Subject '${subject}' not found.`);
      const version = byVersion[2] === 'latest' ? versions.length : Number(byVersion[2]);
      const id = versions[version - 1];
      return id === undefined ? failed(404, 40402, `Version ${version} not found.`) : [200, { subject, version, id, schema: schemas[id - 1] }];
    }
    return failed(404, 404, 'HTTP 404 Not Found');
  };
  const server = createServer((request, response) => {
    state.requests.push(request.url ?? '');
    const [status, body] = answer(request.method ?? '', request.url ?? '', request.headers.authorization);
    response.writeHead(status, { 'Content-Type': contentType }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    register,
    stop: () => new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}
