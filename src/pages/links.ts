/** Links whose target comes from outside: only `http:`, `https:` and relative ones, and no name acts as a scheme. */

const parse = (address: string): URL | undefined => {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url && /^https?:$/.test(url.protocol) ? url : undefined;
};

/**
 * A link to an http(s) address; undefined for anything else. What lies below `base`, the address of the folder that `root` leads
 * to, becomes relative, so that the pages also work from a mirror or a plain folder.
 */
export function webLink(address: string, base?: string, root = './'): string | undefined {
  const url = parse(address);
  const folder = base === undefined ? undefined : parse(`${base.replace(/\/+$/, '')}/`);
  if (!url || !folder || url.origin !== folder.origin || !url.pathname.startsWith(folder.pathname))
    return url?.href;
  return root + url.pathname.slice(folder.pathname.length) + url.search + url.hash;
}

/** A link given from the root of a location, for a page from which `root` leads there; an http(s) address stays. */
export function pageLink(link: string | undefined, root = ''): string | undefined {
  if (link === undefined || /^([a-z][a-z0-9+.-]*:|\/)/i.test(link)) return link && parse(link)?.href;
  return root + link;
}

/** Link from the root of a release location to a release's page. */
export const releaseLink = (build: string) => `releases/${encodeURIComponent(build)}/index.html`;

/** The last part of an address, as a file's name. */
export function fileName(address: string): string {
  const last = parse(address)?.pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
