/** Fixes that a release or build lacks. */
import type { Lack } from '../domain/security.js';

/** Each fix with its packages. */
export const Lacks = ({ lacks }: { lacks: readonly Lack[] }) =>
  lacks.map(({ case: id, advisories, packages }) => (
    <div key={id}>
      {advisories.join(', ') || `case ${id}`}
      <span>: {packages.map(({ name, is, fixed }) => `${name} ${is}, fixed in ${fixed}`).join('; ')}</span>
    </div>
  ));
