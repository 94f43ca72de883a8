/** What every page has: head, skip link, way back, footer. */
import type { ComponentChildren, VNode } from 'preact';
import { render } from 'preact-render-to-string';
import { formatDate } from './facts.js';
import type { Damaged } from './types.js';

export interface Crumb {
  readonly label: string;
  /** Absent for the page itself. */
  readonly href?: string | undefined;
}

interface PageProps {
  readonly title: string;
  /** Link to the folder of `treeline.css`: empty or with a slash at its end. */
  readonly base: string;
  readonly crumbs: readonly Crumb[];
  /** The Atom feed of what the page is about. */
  readonly feed?: { readonly title: string; readonly href: string } | undefined;
  /** CSP source of the page's one inline script. */
  readonly script?: string;
  readonly footer: ComponentChildren;
  readonly children: ComponentChildren;
}

/** Two fir branches on a line; in the page itself, since a browser would ask for /favicon.ico otherwise. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
  "%3Cpath fill='%232f855a' d='M8 1l4 5h-2l3 4H9v5H7v-5H3l3-4H4z'/%3E%3C/svg%3E";

/** Nothing but the stylesheet beside the pages, the icon above and at most one known script. */
const policy = (script: string | undefined) =>
  [
    "default-src 'none'",
    "style-src 'self'",
    'img-src data:',
    ...(script ? [`script-src ${script}`] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');

export function Page({ title, base, crumbs, feed, script, footer, children }: PageProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policy(script)} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>{title}</title>
        <link rel="icon" href={icon} />
        <link rel="stylesheet" href={`${base}treeline.css`} />
        {feed && <link rel="alternate" type="application/atom+xml" title={feed.title} href={feed.href} />}
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header>
          <nav aria-label="Breadcrumb">
            <ol>
              {crumbs.map(({ label, href }) => (
                <li key={label}>
                  {href ? <a href={href}>{label}</a> : <span aria-current="page">{label}</span>}
                </li>
              ))}
            </ol>
          </nav>
        </header>
        <main id="main" tabIndex={-1}>
          {children}
        </main>
        <footer>{footer}</footer>
      </body>
    </html>
  );
}

/** What this instance finds damaged: nothing where all is well. */
export const Problems = ({ problems = [] }: Damaged) =>
  problems.length === 0 ? null : (
    <div class="problems" role="note">
      <p>Files of this stream are damaged. What they say is missing here until they are restored.</p>
      <ul>
        {problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
    </div>
  );

/** A page as the text of its file. */
export const toHtml = (page: VNode) => `<!doctype html>\n${render(page)}\n`;

/** A moment, to the minute. */
export const When = ({ at }: { at: string }) => <time dateTime={at}>{formatDate(at)}</time>;

/** A table in a box of its own that scrolls by finger and by keyboard: the page never scrolls sideways. */
export function Table({
  caption,
  children,
  id,
}: {
  caption: string;
  children: ComponentChildren;
  id?: string;
}) {
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table {...(id ? { id } : {})}>
        <caption>{caption}</caption>
        {children}
      </table>
    </div>
  );
}

/** The head row of a table; columns of numbers stand at the right. */
export const Columns = ({
  names,
  numbers = [],
}: {
  names: readonly string[];
  numbers?: readonly string[];
}) => (
  <thead>
    <tr>
      {names.map((name) => (
        <th scope="col" key={name} class={numbers.includes(name) ? 'number' : undefined}>
          {name}
        </th>
      ))}
    </tr>
  </thead>
);

/** Commands to copy, in a box that scrolls. */
export const Commands = ({ label, lines }: { label: string; lines: readonly string[] }) => (
  <pre role="region" aria-label={label} tabIndex={0}>
    <code>{lines.join('\n')}</code>
  </pre>
);
