/** The web server of an instance: build pages, ostree repos, images and package repos, read from the disk at each request. */
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { answer } from './files.js';

export interface ServeOptions {
  /** Folder that is served. It may appear, and its files change, while the server runs. */
  readonly root: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Default loopback. */
  readonly host?: string;
}

export interface WebServer {
  /** Address without a slash at its end, such as `http://127.0.0.1:8470`. */
  readonly url: string;
  /** Ends the server and its open connections. */
  close(): Promise<void>;
}

/** Starts to serve the files below `root`: GET and HEAD only, no hidden files, nothing outside the folder. */
export async function serve({ root, port, host = '127.0.0.1' }: ServeOptions): Promise<WebServer> {
  const folder = resolve(root);
  const server = createServer((req, res) => {
    answer(folder, req, res).catch(() => {
      // The client went away or the disk failed. Once headers are out, a broken transfer is the honest answer.
      if (res.headersSent || res.destroyed) res.destroy();
      else
        res.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Cannot read this file.\n');
    });
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      listening();
    });
  }).catch((error: unknown) => {
    throw cannotListen(error, host, port);
  });
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise((closed, failed) => {
        server.close((error) => (error ? failed(error) : closed()));
        server.closeAllConnections();
      }),
  };
}

function cannotListen(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return new Error(
      `Port ${port} on ${host} is in use. End the program that uses it, or set TREELINE_WEB_PORT to a free port.`,
      { cause: error },
    );
  return error;
}
