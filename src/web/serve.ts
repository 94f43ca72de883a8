/** The web server of an instance: build pages, ostree repos, images and package repos, read from the disk at each request. */
import { mkdir, realpath } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Settings } from '../settings.js';
import { Store } from '../store/store.js';
import { Failure } from '../domain/failures.js';
import type { Part } from '../keep.js';
import { answer, type Served } from './files.js';

/** Folders of the sample distribution that are package repos; its private key lies beside them. */
export const sampleRepos = ['rpms', 'srpms'];

export interface ServeOptions {
  /** Folder that is served. It may appear, and its files change, while the server runs. */
  readonly root: string;
  /** Folders outside of `root` that links below it may lead to; default none. Those that do not exist are left out. */
  readonly linked?: readonly string[];
  /** 0 for any free port. */
  readonly port: number;
  /** Default loopback. */
  readonly host?: string;
}

export interface WebServer extends Part {
  /** Address without a slash at its end, such as `http://127.0.0.1:8470`. */
  readonly url: string;
}

/**
 * A request is one line and a few headers: who needs longer than this for them only holds a connection. An answer may take as long as
 * the reader goes on reading.
 */
const limits = {
  headersTimeout: 5_000,
  requestTimeout: 8_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
};
/** A reader that takes nothing for so long is gone. Milliseconds. */
const idleTimeout = 60_000;

/**
 * Starts to serve the files below `root`, which is made if it is missing: GET and HEAD only, no hidden files, nothing outside that folder and those that
 * its links may lead to.
 */
export async function serve({
  root,
  linked = [],
  port,
  host = '127.0.0.1',
}: ServeOptions): Promise<WebServer> {
  await mkdir(root, { recursive: true });
  const served = await servedFolders(root, linked);
  const server = createServer(limits, (req, res) => {
    answer(served, req, res).catch(() => {
      // The client went away or the disk failed. Once headers are out, a broken transfer is the honest answer.
      if (res.headersSent || res.destroyed) res.destroy();
      else
        res.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Cannot read this file.\n');
    });
  });
  server.setTimeout(idleTimeout);
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      listening();
    });
  }).catch((error: unknown) => {
    throw cannotListen(error, host, port);
  });
  const ended = new Promise<Error>((resolve) => {
    server.on('error', resolve).once('close', () => resolve(new Error('it was closed')));
  });
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    ended,
    // Its open connections end with it.
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** Serves an instance's web root at its port; makes the folder where it is missing. */
export async function serveInstance(settings: Settings): Promise<WebServer> {
  const root = new Store(settings.state).www();
  const sample = sampleRepos.map((name) => join(settings.state, 'sample', name));
  return serve({ root, linked: [...sample, ...settings.webLinked], port: settings.webPort });
}

/** The folders as the kernel names them. */
export async function servedFolders(root: string, linked: readonly string[] = []): Promise<Served> {
  const real = await Promise.all(linked.map((folder) => realpath(folder).catch(() => undefined)));
  return { root: await realpath(root), linked: real.filter((folder) => folder !== undefined) };
}

/** The usual reasons, as a SettingInvalid that names the setting. */
function cannotListen(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const failure = (what: string) =>
    new Failure(
      'SettingInvalid',
      `Port ${port} on ${host} ${what}, or set TREELINE_WEB_PORT to a free port.`,
    );
  if (code === 'EADDRINUSE') return failure('is in use. End the program that uses it');
  if (code === 'EACCES') return failure('is privileged. Run as root');
  return error;
}
