/** What people's tests of a build have come to, by their signed reports; a failed one is marked. */
import type { TestReport } from '../domain/promotion.js';
import { When } from './layout.js';
import { Mark } from './marks.js';

export const Reports = ({ reports }: { readonly reports: readonly TestReport[] }) => (
  <ul class="approvers" aria-label="Test reports">
    {reports.map(({ build, by, result, note, at }) => (
      <li key={by + at}>
        <Mark tone={result === 'pass' ? 'good' : 'bad'}>
          {result === 'pass' ? 'test passed' : 'test failed'}
        </Mark>{' '}
        {build}, {by}, <When at={at} />
        {note && <span class="text">: {note}</span>}
      </li>
    ))}
  </ul>
);
