// The little of Bun's API that the bare programs use.

export type BunServe = { serve(options: { port: number; hostname: string; fetch(request: Request): Response | Promise<Response> }): unknown };

export const bun = (globalThis as unknown as { Bun: BunServe }).Bun;
