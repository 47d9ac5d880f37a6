// Real servers for tests (Redis, PostgreSQL, MQTT), started from installed binaries on free loopback ports, ended by id.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, waitForPort } from './ports.ts';
import { type Started, start, which } from './process.ts';
import { redisClient } from './resp.ts';

export { freePort } from './ports.ts';

export type ServerName = 'moto' | 'openssl' | 'redis' | 'postgres' | 'mosquitto' | 'nats' | 'kafka' | 'rabbitmq' | 'sqlite3' | 'mariadb';
export type RedisServer = Awaited<ReturnType<typeof startRedis>>;
export type PostgresServer = Awaited<ReturnType<typeof startPostgres>>;

// Debian keeps one folder of PostgreSQL programs per major version, outside PATH.
const postgresFolders = (): string[] => {
  try {
    return readdirSync('/usr/lib/postgresql')
      .sort((a, b) => Number(b) - Number(a))
      .map((v) => `/usr/lib/postgresql/${v}/bin`);
  } catch {
    return [];
  }
};
// Python programs that .ci/run installs from PyPI.
const pythonFolder = resolve(import.meta.dirname, '../../.data/moto/bin');
const needs: Record<ServerName, { programs: string[]; debian: string } | { programs: string[]; pip: string }> = {
  moto: { programs: ['moto_server'], pip: "'moto[server]'" },
  openssl: { programs: ['openssl'], debian: 'openssl' },
  redis: { programs: ['redis-server'], debian: 'redis-server' },
  postgres: { programs: ['initdb', 'postgres', 'psql'], debian: 'postgresql' },
  mariadb: { programs: ['mariadbd', 'mariadb-install-db'], debian: 'mariadb-server' },
  mosquitto: { programs: ['mosquitto'], debian: 'mosquitto' },
  nats: { programs: ['nats-server'], debian: 'nats-server' },
  rabbitmq: { programs: ['rabbitmq-defaults', 'erl', 'epmd'], debian: 'rabbitmq-server' },
  kafka: { programs: ['java'], debian: 'default-jre-headless' },
  sqlite3: { programs: ['sqlite3'], debian: 'sqlite3' },
};
const kafkaJars = resolve(import.meta.dirname, '../../.data/kafka');

const folders = () => [...postgresFolders(), pythonFolder, '/usr/lib/rabbitmq/bin', '/usr/sbin'];

/** Why a server cannot be started here, naming the package that brings it; undefined when all is there. */
export function missing(name: ServerName): string | undefined {
  const need = needs[name];
  const absent = need.programs.filter((program) => !which(program, folders()));
  if (name === 'kafka' && absent.length === 0 && !existsSync(kafkaJars)) return 'the jars of Kafka not found: mvn -f test/harness/kafka dependency:copy-dependencies (Debian: maven)';
  return absent.length ? `${absent.join(', ')} not found: ${'pip' in need ? `pip install ${need.pip}` : `apt-get install ${need.debian}`}` : undefined;
}

const program = (name: string, server: ServerName): string => {
  const file = which(name, folders());
  if (!file) throw new Error(missing(server));
  return file;
};

// Folders of servers that nobody stopped go with this process, as the servers do.
const dirs = new Set<string>();
process.on('exit', () => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
const tempDir = (name: string): string => {
  const dir = mkdtempSync(join(tmpdir(), `outrigger-${name}-`));
  dirs.add(dir);
  return dir;
};

// What all servers have in common: the same command again after an end, the folder gone after stop().
async function server(command: string[], options: { dir: string; port: number; as?: string; patience?: number; ready?(): Promise<void> }) {
  let running: Started;
  const launch = async () => {
    running = start(command, { cwd: options.dir, ...(options.as ? { as: options.as } : {}) });
    const ended = running.exited.then(() => {
      throw new Error(`${command[0]} ended while starting: ${running.log()}`);
    });
    const ready = waitForPort(options.port, options.patience).then(options.ready);
    await Promise.race([ready, ended]);
    ended.catch(() => {});
  };
  await launch();
  return {
    port: options.port,
    log: () => running.log(),
    /** Ends it without ceremony, as a crash would; its data stays for restart(). */
    kill: async (signal: NodeJS.Signals = 'SIGKILL') => void (await running.stop(signal)),
    /** Ends it if it runs and starts it again on the same port with the same data. */
    restart: async () => {
      await running.stop();
      await launch();
    },
    /** Ends it and removes its folder. */
    stop: async (signal: NodeJS.Signals = 'SIGTERM') => {
      await running.stop(signal);
      rmSync(options.dir, { recursive: true, force: true });
      dirs.delete(options.dir);
    },
  };
}

/** `persist` keeps data over restart() and kill() (append-only file, synced on every write); `flags` are given to redis-server. */
export async function startRedis(opts: { persist?: boolean; flags?: string[] } = {}) {
  const [port, dir] = [await freePort(), tempDir('redis')];
  // Redis takes port + 10000 for its cluster bus by itself, which may be anybody's outgoing port
  const bus = opts.flags?.includes('--cluster-enabled') ? ['--cluster-port', String(await freePort())] : [];
  const keep = opts.persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
  const own = await server([program('redis-server', 'redis'), '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir, ...bus, ...keep, ...(opts.flags ?? [])], {
    dir,
    port,
    ready: () => loaded(port),
  });
  const client = redisClient(port);
  const commandBuffer = (...args: (string | Uint8Array)[]) => client.command(args);
  return {
    ...own,
    /** Runs a Redis command; texts in the reply are strings. */
    command: async (...args: (string | Uint8Array)[]): Promise<unknown> => texts(await commandBuffer(...args)),
    /** The same with Buffers in the reply, for values that are not text. */
    commandBuffer,
    stop: async () => {
      client.close();
      await own.stop('SIGKILL');
    },
  };
}

// With an append-only file the port is open before the data is read.
async function loaded(port: number): Promise<void> {
  const client = redisClient(port);
  while (!(await succeeds(client.command(['PING'])))) await sleep(20);
  client.close();
}

const succeeds = (work: Promise<unknown>) => work.then(() => true, () => false);

const texts = (reply: unknown): unknown => (Buffer.isBuffer(reply) ? reply.toString() : Array.isArray(reply) ? reply.map(texts) : reply);

/** A fresh cluster with user and database `postgres`, no password, loopback only, durable as in production (fsync stays on). */
export async function startPostgres(opts: { flags?: string[] } = {}) {
  const [port, dir] = [await freePort(), tempDir('postgres')];
  const data = join(dir, 'data');
  const as = process.getuid?.() === 0 ? 'postgres' : undefined;
  mkdirSync(data);
  chmodSync(dir, 0o755);
  if (as) execFileSync('chown', [as, data]);
  // --no-sync is about these first files only; the server itself syncs.
  const init = start([program('initdb', 'postgres'), '-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'], { cwd: dir, ...(as ? { as } : {}) });
  if ((await init.exited).code !== 0) throw new Error(`initdb failed: ${init.log()}`);
  const psql = program('psql', 'postgres');
  const sql = async (text: string): Promise<string> => {
    const args = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-AtqF', '|', '-v', 'ON_ERROR_STOP=1', '-c', text];
    return (await promisify(execFile)(psql, args)).stdout.trimEnd();
  };
  const answering = async () => {
    while (!(await succeeds(sql('select 1')))) await sleep(50);
  };
  const own = await server([program('postgres', 'postgres'), '-D', data, '-p', String(port), '-k', data, '-h', '127.0.0.1', ...(opts.flags ?? [])], {
    dir,
    port,
    ready: answering,
    ...(as ? { as } : {}),
  });
  return {
    ...own,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    /** Runs statements through psql: one line per row, columns separated by `|`. */
    sql,
    /** SIGINT: PostgreSQL's fast shutdown, which does not wait for clients. */
    restart: async () => {
      await own.kill('SIGINT');
      await own.restart();
    },
    stop: () => own.stop('SIGQUIT'),
  };
}

/** MariaDB with the user `root`, no password, and the empty database `test`, loopback only. */
export async function startMariadb(opts: { flags?: string[] } = {}) {
  const [port, dir] = [await freePort(), tempDir('mariadb')];
  const [data, socket] = [join(dir, 'data'), join(dir, 'socket')];
  const as = process.getuid?.() === 0 ? 'mysql' : undefined;
  mkdirSync(data);
  chmodSync(dir, 0o755);
  if (as) execFileSync('chown', [as, dir, data]);
  const init = start([program('mariadb-install-db', 'mariadb'), '--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-name-resolve'], { cwd: dir, ...(as ? { as } : {}) });
  if ((await init.exited).code !== 0) throw new Error(`mariadb-install-db failed: ${init.log()}`);
  const small = ['--innodb-buffer-pool-size=16M', '--innodb-log-file-size=8M', '--skip-name-resolve'];
  const own = await server([program('mariadbd', 'mariadb'), '--no-defaults', `--datadir=${data}`, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socket}`, ...small, ...(opts.flags ?? [])], { dir, port, patience: 30_000, ...(as ? { as } : {}) });
  return { ...own, socket, url: `root@tcp(127.0.0.1:${port})/test` };
}

/** An MQTT broker that lets everybody in; `persist` keeps sessions and messages over restart(), `settings` are lines of its configuration. */
export async function startMosquitto(opts: { persist?: boolean; settings?: string[] } = {}) {
  const [port, dir] = [await freePort(), tempDir('mosquitto')];
  const keep = opts.persist ? ['persistence true', `persistence_location ${dir}/`, 'autosave_on_changes true', 'autosave_interval 1'] : [];
  const as = process.getuid?.() === 0 ? ['user root'] : []; // else it becomes a user that may not write here
  writeFileSync(join(dir, 'mosquitto.conf'), [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'max_queued_messages 0', ...as, ...keep, ...(opts.settings ?? []), ''].join('\n'));
  return server([program('mosquitto', 'mosquitto'), '-c', join(dir, 'mosquitto.conf')], { dir, port });
}

/** Moto: AWS's services in memory, all behind one address; any access key will do. Regions and accounts are kept apart. */
export async function startMoto() {
  const [port, dir] = [await freePort(), tempDir('moto')];
  const beside = join(dirname(program('moto_server', 'moto')), 'python3');
  const own = await server([existsSync(beside) ? beside : 'python3', resolve(import.meta.dirname, 'moto-server.py'), '-H', '127.0.0.1', '-p', String(port)], { dir, port });
  return { ...own, endpoint: `http://127.0.0.1:${port}` };
}

/** One of our own contract servers (contract-server.ts) as a process: its messages are in a file and outlive kill() and restart(). */
export async function startContractServer(name: 'google-pubsub' | 'service-bus' | 'event-hubs', ...args: string[]) {
  const [port, dir] = [await freePort(), tempDir(name)];
  const node = resolve(import.meta.dirname, '../../node_modules/.bin/node');
  return server([node, resolve(import.meta.dirname, 'contract-server.ts'), name, String(port), join(dir, 'journal'), ...args], { dir, port });
}

/** A NATS server with JetStream, which keeps its streams over restart() and kill(); `flags` are given to nats-server. */
export async function startNats(opts: { flags?: string[] } = {}) {
  const [port, dir] = [await freePort(), tempDir('nats')];
  const own = await server([program('nats-server', 'nats'), '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dir, ...(opts.flags ?? [])], { dir, port });
  return { ...own, url: `nats://127.0.0.1:${port}` };
}

/**
 * RabbitMQ with the user guest/guest; its queues outlive kill() and restart(). Takes some five seconds to start.
 * `management` starts its HTTP API too, on the port `http`, for guest/guest.
 */
export async function startRabbitmq(opts: { management?: boolean } = {}) {
  const [port, http, dist, names, dir] = [await freePort(), await freePort(), await freePort(), await freePort(), tempDir('rabbitmq')];
  writeFileSync(join(dir, 'plugins'), opts.management ? '[rabbitmq_management].' : '[].');
  const management = opts.management ? ['management.tcp.ip = 127.0.0.1', `management.tcp.port = ${http}`, 'collect_statistics_interval = 200'] : [];
  writeFileSync(join(dir, 'rabbit.conf'), [`listeners.tcp.1 = 127.0.0.1:${port}`, ...management, 'log.console = true', 'log.console.level = error', ''].join('\n'));
  const env = {
    HOME: dir, RABBITMQ_NODENAME: `outrigger${port}@localhost`, RABBITMQ_MNESIA_BASE: join(dir, 'data'), RABBITMQ_LOG_BASE: join(dir, 'log'), RABBITMQ_CONFIG_FILE: join(dir, 'rabbit.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'), RABBITMQ_DIST_PORT: dist, ERL_EPMD_PORT: names, ERL_EPMD_ADDRESS: '127.0.0.1',
    // without a shell around it: the process is the broker, and what kills it kills the broker
    RABBITMQ_ALLOW_INPUT: 1,
  };
  // Erlang starts its name server by itself otherwise, as a daemon that nobody ends.
  const nameServer = start([program('epmd', 'rabbitmq'), '-port', String(names), '-address', '127.0.0.1']);
  await waitForPort(names);
  // The rabbitmq-server in PATH insists on the system's own node.
  const command = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), join(dirname(program('rabbitmq-defaults', 'rabbitmq')), 'rabbitmq-server'), '-noinput'];
  const own = await server(command, { dir, port, patience: 60_000, ready: () => (opts.management ? waitForPort(http, 30_000) : Promise.resolve()) });
  return {
    ...own,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    http,
    stop: async () => {
      await own.stop('SIGKILL');
      await nameServer.stop('SIGKILL');
    },
  };
}

/**
 * One Kafka broker (its own controller, no ZooKeeper), which keeps its topics over restart() and kill(). Topics get 3 partitions.
 * `sasl` is a second listener for user `alice` with password `secret`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512. `settings` are lines of its configuration.
 */
export async function startKafka(opts: { settings?: string[] } = {}) {
  const [port, sasl, controller, dir] = [await freePort(), await freePort(), await freePort(), tempDir('kafka')];
  const file = join(dir, 'server.properties');
  const user = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";';
  const lines = [
    'process.roles=broker,controller', 'node.id=1', `controller.quorum.voters=1@127.0.0.1:${controller}`, 'controller.listener.names=CONTROLLER',
    `listeners=PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://127.0.0.1:${sasl},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://127.0.0.1:${sasl}`,
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT', 'inter.broker.listener.name=PLAINTEXT',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512', `listener.name.sasl_plaintext.plain.sasl.jaas.config=${user}`,
    ...['256', '512'].map((bits) => `listener.name.sasl_plaintext.scram-sha-${bits}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`),
    `log.dirs=${join(dir, 'data')}`, 'num.partitions=3', 'offsets.topic.replication.factor=1', 'offsets.topic.num.partitions=1', 'group.initial.rebalance.delay.ms=0', 'log.cleaner.enable=false',
    ...(opts.settings ?? []), '',
  ];
  writeFileSync(file, lines.join('\n'));
  // what starts fast on a small machine, rather than what runs fast for days
  const java = [program('java', 'kafka'), '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx384m', '-cp', join(kafkaJars, '*')];
  const scram = ['256', '512'].flatMap((bits) => ['--add-scram', `SCRAM-SHA-${bits}=[name=alice,password=secret]`]);
  await promisify(execFile)(java[0] as string, [...java.slice(1), 'kafka.tools.StorageTool', 'format', '-t', 'b3V0cmlnZ2VyLXRlc3QtMQ', '-c', file, ...scram]);
  return { ...(await server([...java, 'kafka.Kafka', file], { dir, port, patience: 180_000 })), sasl, brokers: `127.0.0.1:${port}` };
}
