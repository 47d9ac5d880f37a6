// Kind MCPServer: what daprd checks itself when no Kubernetes API server has (Dapr: pkg/internal/loader/validate/mcpserver.go).
import * as z from 'zod';
import type { ListedResource } from './kinds.ts';
import { any, describeIssue, flag, list, object, text } from './shape.ts';

const named = () => object({ name: text(), value: any(), envRef: text(), secretKeyRef: object({ name: text(), key: text() }) });
const http = () => object({ url: text(), headers: list(named()) }).optional();
const spec = z.lazy(() => object({
  endpoint: object({ streamableHTTP: http(), sse: http(), stdio: object({ command: text(), args: list(text()), env: list(named()) }).optional() }),
  ignoreErrors: flag(),
}));

/** Why the sidecar must not start with this server; undefined where it may. `ignoreErrors` says whether that ends the start. */
export function faultOfMcpServer({ name, spec: written }: ListedResource): { fault: string | undefined; ignoreErrors: boolean } {
  const read = spec.safeParse(written);
  if (!read.success) return { fault: `MCPServer ${JSON.stringify(name)} failed validation: spec.${describeIssue(read.error)}`, ignoreErrors: (written as { ignoreErrors?: unknown }).ignoreErrors === true };
  const { endpoint, ignoreErrors } = read.data;
  const transports = [endpoint.streamableHTTP, endpoint.sse, endpoint.stdio].filter((transport) => transport !== undefined);
  if (transports.length !== 1) {
    return { fault: `MCPServer ${JSON.stringify(name)} failed validation: [].spec.endpoint: Invalid value: "object": exactly one of streamableHTTP, sse, or stdio must be set`, ignoreErrors };
  }
  const unsafe = endpoint.stdio ? faultOfCommand(endpoint.stdio) : endpoint.streamableHTTP ? faultOfUrl('streamableHTTP', endpoint.streamableHTTP.url) : faultOfUrl('sse', endpoint.sse?.url ?? '');
  return { fault: unsafe && `MCPServer ${JSON.stringify(name)} failed security validation: MCPServer ${JSON.stringify(name)}: ${unsafe}`, ignoreErrors };
}

function faultOfUrl(transport: string, url: string): string | undefined {
  const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(url) ?? [];
  if (scheme.toLowerCase() !== 'http' && scheme.toLowerCase() !== 'https') return `${transport}.url scheme must be http or https, got ${JSON.stringify(scheme.toLowerCase())}`;
  if (!/^\/\/[^/?#]/.test(rest)) return `${transport}.url must have a host`;
  return URL.canParse(url) ? undefined : `${transport}.url is not a valid URL`;
}

/** A command with a path must stay below the folder the sidecar was started in, an absolute one is the user's explicit choice. */
function faultOfCommand(stdio: { command: string; env: readonly { name: string }[] }): string | undefined {
  if (stdio.command === '') return 'stdio.command must not be empty';
  if (stdio.command.includes('/') && !stdio.command.startsWith('/')) {
    let depth = 0;
    for (const part of stdio.command.split('/')) {
      if (part === '..') depth--;
      else if (part !== '' && part !== '.') depth++;
      if (depth < 0) return 'stdio.command must not escape working directory';
    }
  }
  const odd = stdio.env.find(({ name }) => /[=\n\0]/.test(name));
  return odd && `stdio.env name ${JSON.stringify(odd.name)} contains invalid characters`;
}
