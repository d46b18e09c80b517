// Builds the demo page:      node standalone/page/build.mjs
// Compares it with dist:     node standalone/page/build.mjs --check
//
// The result is committed and embedded in the `signal` binary, so that running it needs no Node.
// esbuild comes from the lock file of clients/typescript, the one Node toolchain of the repository.
import { createRequire } from 'node:module';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const page = dirname(fileURLToPath(import.meta.url));
const client = join(page, '../../clients/typescript');
const dist = join(page, 'dist');

function fail(message) {
  console.error(message);
  process.exit(1);
}

function loadEsbuild() {
  try {
    return createRequire(join(client, 'package.json'))('esbuild');
  } catch {
    return fail('esbuild is missing. Run `npm ci` in clients/typescript first.');
  }
}

async function build(outdir) {
  const esbuild = loadEsbuild();
  await rm(outdir, { recursive: true, force: true });
  await mkdir(join(outdir, 'assets'), { recursive: true });
  await esbuild.build({
    // Comments that name the bundled files are relative to this, whatever the current directory is.
    absWorkingDir: page,
    entryPoints: ['src/app.ts', 'src/app.css'],
    outdir: join(outdir, 'assets'),
    alias: { 'signal-client': join(client, 'src/index.ts') },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
  });
  await copyFile(join(page, 'src/index.html'), join(outdir, 'index.html'));
  await copyFile(join(page, 'src/icon.svg'), join(outdir, 'assets/icon.svg'));
}

async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [file.slice(folder.length + 1), await readFile(file)])));
}

async function check() {
  const fresh = await mkdtemp(join(tmpdir(), 'signal-page-'));
  try {
    await build(fresh);
    const [built, committed] = await Promise.all([filesOf(fresh), filesOf(dist)]);
    const names = new Set([...built.keys(), ...committed.keys()]);
    return [...names].filter((name) => !(built.get(name) && committed.get(name)?.equals(built.get(name)))).sort();
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

if (process.argv.includes('--check')) {
  const stale = await check();
  if (stale.length > 0) {
    fail(`standalone/page/dist is not what its source builds: ${stale.join(', ')}.\nRun \`node standalone/page/build.mjs\` and commit the result.`);
  }
  console.log('standalone/page/dist matches its source.');
} else {
  await build(dist);
  for (const [name, content] of await filesOf(dist)) console.log(`${name}  ${(content.length / 1024).toFixed(1)} KiB`);
}
