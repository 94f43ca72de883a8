/** What a build's commit leaves out of its packages, or has otherwise than they have it. */
import { notable, reasonText, sum } from '../domain/content.js';
import type { ContentRecord } from '../rpm/content.js';
import { fileLink } from './facts.js';
import type { BuildInput } from './types.js';

/** So many are listed on the page; the file has each. */
const most = 100;

export function Content({ meta, content }: Pick<BuildInput, 'meta' | 'content'>) {
  const counted = meta.treeline.content;
  if (!counted) return null;
  return (
    <section aria-labelledby="content">
      <h2 id="content">Content</h2>
      <p>
        {counted.entries} files, folders and links of {meta.treeline.packages} packages are in the commit as
        they were packaged; {sum(counted.leftOut)} are left out, {sum(counted.changed)} were changed after the
        installation. <a href={fileLink(counted.list)}>All of them with their reasons</a>
      </p>
      {content && <List title="Left out" list={notable(content.leftOut)} />}
      {content && <List title="Changed" list={content.changed} />}
    </section>
  );
}

interface ListProps {
  readonly title: string;
  readonly list: readonly (ContentRecord['leftOut'][number] & { readonly what?: string })[];
}

function List({ title, list }: ListProps) {
  if (list.length === 0) return null;
  return (
    <details>
      <summary>
        {title}: {list.length}
      </summary>
      <ul class="files">
        {list.slice(0, most).map((one) => (
          <li key={one.path}>
            <code>{one.path}</code> of {one.package}: {one.what === undefined ? '' : `${one.what}, by `}
            {reasonText(one.reason)}
          </li>
        ))}
        {list.length > most && <li>and {list.length - most} more</li>}
      </ul>
    </details>
  );
}
