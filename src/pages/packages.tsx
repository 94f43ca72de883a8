/** The package difference of a build, and all of its packages. */
import { splitEvra, type Lockfile } from '../domain/lockfile.js';
import type { PackageChange } from '../domain/metadata.js';
import { changeKinds, compareNames, groupChanges, type Change, type ChangeKind } from './facts.js';
import { Columns, Table } from './layout.js';

/** What changed since the parent commit, by kind. */
export function Changes({ diff }: { diff: readonly PackageChange[] | undefined }) {
  const groups = groupChanges(diff ?? []);
  const kinds = changeKinds.filter((kind) => groups[kind].length > 0);
  return (
    <section aria-labelledby="changes">
      <h2 id="changes">Package changes</h2>
      {kinds.length === 0 ? (
        <p>
          {diff
            ? 'No package changed since the parent.'
            : 'A first build: there is no parent to compare with.'}
        </p>
      ) : (
        <Table caption="Changes since the parent commit">
          <Columns names={['Package', 'Version', 'Arch']} />
          {kinds.map((kind) => (
            <Group kind={kind} changes={groups[kind]} key={kind} />
          ))}
        </Table>
      )}
    </section>
  );
}

const Group = ({ kind, changes }: { kind: ChangeKind; changes: readonly Change[] }) => (
  <tbody>
    <tr>
      <th scope="rowgroup" colSpan={3} class="group">
        {kind[0]?.toUpperCase()}
        {kind.slice(1)} ({changes.length})
      </th>
    </tr>
    {changes.map(({ name, arch, from, to }) => (
      <tr key={`${name}.${arch}`}>
        <th scope="row" class="name">
          {name}
        </th>
        <td class="version">
          {from && to ? (
            <>
              <del>{from}</del> <span aria-hidden="true">→</span> <ins>{to}</ins>
            </>
          ) : (
            (to ?? from)
          )}
        </td>
        <td>{arch}</td>
      </tr>
    ))}
  </tbody>
);

/** Every package of the lockfile, with a box to narrow them where scripts run. */
export function Packages({ lockfile }: { lockfile: Lockfile }) {
  const packages = Object.entries(lockfile.packages).sort(([a], [b]) => compareNames(a, b));
  return (
    <section aria-labelledby="packages-title">
      <h2 id="packages-title">Packages ({packages.length})</h2>
      <p class="filter" hidden>
        <label for="filter">Filter</label>
        <input id="filter" type="search" autocomplete="off" spellcheck={false} aria-controls="packages" />
        <output id="filter-count" for="filter" />
      </p>
      <Table caption="Packages of this build" id="packages">
        <Columns names={['Package', 'Version', 'Arch', 'Source', 'Repository']} />
        <tbody>
          {packages.map(([name, { evra, sourcerpm, repo }]) => {
            const { evr, arch } = splitEvra(evra);
            return (
              <tr key={name}>
                <th scope="row" class="name">
                  {name}
                </th>
                <td class="version">{evr}</td>
                <td>{arch}</td>
                <td class="version">{sourcerpm}</td>
                <td>{repo}</td>
              </tr>
            );
          })}
        </tbody>
      </Table>
    </section>
  );
}
