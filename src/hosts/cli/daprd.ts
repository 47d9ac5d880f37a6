// The daprd command: flags, the commands that print and end, then the sidecar until a signal ends it. Resolves with the exit code.
import { writeFileSync } from 'node:fs';
import { type DaprdFlags, daprdFlags } from './daprd-flags.ts';
import { type Parsed, parseFlags, usage } from './flag-set.ts';
import { readLaunch, readLogging, readSizes } from './options.ts';
import { lineWriter, stderr, stdout } from './output.ts';
import type { Platform } from './platform.ts';
import type { ServeHooks, ServeOptions } from './serve.ts';

/** `argv`: the words after the program's name. The first may be `run`, which is `dapr run`. */
export async function outrigger(argv: readonly string[], platform: Platform): Promise<number> {
  nameProcess();
  if (argv[0] === 'run') return (await import('./run.ts')).run(argv.slice(1), platform);
  const hooks = process.env.OUTRIGGER_BANNER ? { onReady: (await import('./banner.ts')).printBanner } : {};
  return daprd(argv, platform, hooks);
}

/** `dapr list` and its kin look for processes called daprd. Only Linux lets a process say so without hiding its arguments. */
function nameProcess(): void {
  try {
    if (process.platform === 'linux') writeFileSync('/proc/self/comm', 'daprd');
  } catch {
    // a name is not worth failing for
  }
}

export async function daprd(argv: readonly string[], platform: Platform, hooks: ServeHooks = {}): Promise<number> {
  const flags = parseFlags(daprdFlags, argv);
  for (const notice of flags.notices) stderr(`${notice}\n`);
  if (flags.problem || flags.help) {
    // on both, as pflag's ExitOnError does: tools read either
    const { message, hint } = flags.problem ?? { message: 'pflag: help requested' };
    if (flags.problem) stderr(`${message}\n${hint ? `${hint}\n` : ''}`);
    stderr(usage('daprd', daprdFlags));
    stdout(`${message}\n`);
    return 2;
  }
  const { values } = flags;
  const sizes = readSizes(flags);
  if ('refusal' in sizes) return fatal(flags, `Failed to parse flags: ${sizes.refusal}`);
  if (values.version || values['build-info']) {
    const { appVersion, daprVersion } = await import('./version.ts');
    stdout(values.version ? `${daprVersion}\n` : `Version: ${daprVersion}\nGit Commit: \nGit Version: outrigger ${appVersion}\n`);
    return 0;
  }
  if (values.wait) {
    await (await import('./wait.ts')).waitForSidecar(values['dapr-http-port']);
    return 0;
  }
  const options = await prepare(flags, platform);
  return typeof options === 'number' ? options : (await import('./serve.ts')).serve(options, hooks);
}

/** What serve() needs, or the exit code where the log flags are wrong. */
export async function prepare(flags: Parsed<DaprdFlags>, platform: Platform): Promise<ServeOptions | number> {
  const logging = readLogging(flags);
  if ('refusal' in logging) return fatal(flags, logging.refusal);
  let write: (line: string) => void;
  try {
    write = lineWriter(logging.file);
  } catch (error) {
    return fatal(flags, `failed to open log file ${JSON.stringify(logging.file)}: ${(error as Error).message}`);
  }
  const { createLogger } = await import('../../core/log.ts');
  const log = createLogger({ ...(await logIdentity(flags)), level: logging.level, json: logging.json, write });
  return { readLaunch: () => readLaunch(flags, process.env), log, write, level: logging.level, platform };
}

/** A fatal line before there is a configured log. */
async function fatal(flags: Parsed<DaprdFlags>, message: string): Promise<number> {
  const { createLogger } = await import('../../core/log.ts');
  createLogger({ ...(await logIdentity(flags)), write: (line) => stdout(`${line}\n`) }).fatal(message);
  return 1;
}

async function logIdentity({ values }: Parsed<DaprdFlags>): Promise<{ appId: string; instance: string; version: string }> {
  const { hostname } = await import('node:os');
  const { daprVersion } = await import('./version.ts');
  return { appId: values['app-id'], instance: hostname(), version: daprVersion };
}
