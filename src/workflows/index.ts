/** All workflows: the entry point of the workflow bundle. */
export { nightly, scheduledNightly } from './nightly.js';
export { candidate } from './candidate.js';
export { securityWatch } from './watch.js';
export { rebuild } from './rebuild.js';
export { promotion } from './promotion.js';
export { release, rollback } from './release.js';
export { stream } from './stream.js';
