// The all-in-one as a process of its own: free ports, a folder that is removed afterwards.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const binary = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/signal');
const START_MS = 30_000;

export async function startSignal() {
  if (!existsSync(binary)) {
    throw new Error('signal is not built: run `make test`, or `cargo build --workspace --bins` first');
  }
  const dir = mkdtempSync(join(tmpdir(), 'signal-browser-'));
  const [http, admin] = await Promise.all([freePort(), freePort()]);
  const child = spawn(binary, [], {
    cwd: dir,
    env: { SIGNAL_HTTP_ADDR: `127.0.0.1:${http}`, SIGNAL_ADMIN_ADDR: `127.0.0.1:${admin}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk; });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  // A run that is cut short must not leave a server behind.
  process.once('exit', () => child.kill('SIGKILL'));
  try {
    await ready(`http://127.0.0.1:${admin}/health/ready`, child);
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${output}`);
  }
  return { url: `http://127.0.0.1:${http}`, stop, output: () => output };
}

async function ready(url, child) {
  const deadline = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`signal has exited with ${child.exitCode}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.status === 200) return;
    if (Date.now() > deadline) throw new Error(`signal is not ready: ${await answer?.text()}`);
    await new Promise((next) => setTimeout(next, 25));
  }
}

function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
