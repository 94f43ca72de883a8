/** How the command line speaks: tables, colours, JSON, exit codes. */
import Table from 'cli-table3';
import { styleText } from 'node:util';

/** Exit codes; documented in docs/cli.md. */
export const exitCodes = {
  ok: 0,
  /** The build failed, or something went wrong. */
  failed: 1,
  /** Wrong usage, or a file that is not valid. */
  usage: 2,
  /** No Temporal server answers. */
  serverAway: 3,
  /** There is no such stream, build or step. */
  notFound: 4,
  /** Ended by Ctrl-C; the build itself goes on. */
  detached: 130,
} as const;

/** A message for people with an exit code; no stack trace is shown for it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly exitCode: number = exitCodes.failed,
  ) {
    super(message);
  }
}

type Style = Parameters<typeof styleText>[0];
const coloured = (stream: NodeJS.WriteStream) => stream.isTTY && !process.env.NO_COLOR;

/** Colours a text if standard output is a terminal. */
export const paint = (style: Style, text: string) =>
  coloured(process.stdout) ? styleText(style, text) : text;

/** Removes control characters: names come from packages and stream files. */

export const clean = (text: string) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');

/** Prints a table without borders. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const none = Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ].map((part) => [part, '']),
  );
  const table = new Table({
    head: head.map((text) => paint('bold', text)),
    chars: { ...none, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  for (const row of rows) table.push(row.map(clean));
  console.log(table.toString());
}

export const printJson = (value: unknown) => console.log(JSON.stringify(value, null, 2));
