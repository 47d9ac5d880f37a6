// The daprd command: flags, the commands that print and end, then the sidecar until a signal ends it. Resolves with the exit code.
import { appVersion, daprVersion } from './version.ts';
import { daprdFlags } from './daprd-flags.ts';
import { parseFlags, usage } from './flag-set.ts';
import { readLaunch, readLogging, readSizes } from './options.ts';
import { lineWriter, stderr, stdout } from './output.ts';
import type { Platform } from './platform.ts';

/** `argv`: the words after the program's name. */
export async function daprd(argv: readonly string[], platform: Platform): Promise<number> {
  const flags = parseFlags(daprdFlags, argv);
  for (const notice of flags.notices) stderr(`${notice}\n`);
  if (flags.problem || flags.help) {
    // on both, as pflag's ExitOnError does: tools read either
    const { message, hint } = flags.problem ?? { message: 'pflag: help requested' };
    if (flags.problem) stderr(`${message}${hint ? ` (${hint})` : ''}\n`);
    stderr(usage('daprd', daprdFlags));
    stdout(`${message}\n`);
    return 2;
  }
  const { createLogger } = await import('../../core/log.ts');
  const { hostname } = await import('node:os');
  const { values } = flags;
  const early = createLogger({ appId: values['app-id'], instance: hostname(), version: daprVersion, write: (line) => stdout(`${line}\n`) });
  const sizes = readSizes(flags);
  if ('refusal' in sizes) {
    early.fatal(`Failed to parse flags: ${sizes.refusal}`);
    return 1;
  }
  if (values.version) {
    stdout(`${daprVersion}\n`);
    return 0;
  }
  if (values['build-info']) {
    stdout(`Version: ${daprVersion}\nGit Commit: ${appVersion}\nGit Version: outrigger ${appVersion}\n`);
    return 0;
  }
  if (values.wait) {
    const { waitForSidecar } = await import('./wait.ts');
    await waitForSidecar(values['dapr-http-port']);
    return 0;
  }

  const logging = readLogging(flags);
  if ('refusal' in logging) {
    early.fatal(logging.refusal);
    return 1;
  }
  let write: (line: string) => void;
  try {
    write = lineWriter(logging.file);
  } catch (error) {
    early.fatal(`failed to open log file ${JSON.stringify(logging.file)}: ${(error as Error).message}`);
    return 1;
  }
  const log = createLogger({ appId: values['app-id'], instance: hostname(), version: daprVersion, level: logging.level, json: logging.json, write });
  const { serve } = await import('./serve.ts');
  return serve({ readLaunch: () => readLaunch(flags, process.env), log, write, level: logging.level, platform });
}
