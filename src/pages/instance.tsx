/** The page of an instance: its streams. */
import { Badge } from './badges.js';
import { Page, Problems, toHtml, When } from './layout.js';
import type { InstanceInput, StreamEntry } from './types.js';

/** Renders the instance page, `index.html` at the web root. */
export const renderInstance = ({ generated, streams }: InstanceInput): string =>
  toHtml(
    <Page
      title="Treeline builds"
      base=""
      crumbs={[{ label: 'Treeline' }]}
      footer={
        <>
          Generated <When at={generated} />
        </>
      }
    >
      <h1>Streams</h1>
      {streams.length === 0 ? (
        <p>No stream is published yet.</p>
      ) : (
        <ul class="streams">
          {streams.map((stream) => (
            <Entry {...stream} key={stream.name} />
          ))}
        </ul>
      )}
    </Page>,
  );

const Entry = ({ name, title, description, url, latest, problems }: StreamEntry) => (
  <li>
    <h2>
      <a href={url}>{title}</a> <code>{name}</code>
    </h2>
    {description && <p>{description}</p>}
    <p class="quiet">
      {latest ? (
        <>
          Latest build <b>{latest.id}</b>, <When at={latest.timestamp} />, boot test{' '}
          <Badge outcome={latest.outcome} />
        </>
      ) : problems?.length ? (
        'Builds unknown'
      ) : (
        'No build yet'
      )}
    </p>
    <Problems problems={problems} />
  </li>
);
