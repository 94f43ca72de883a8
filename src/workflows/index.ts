/** All workflows: the entry point of the workflow bundle. */
export { nightly, scheduledNightly } from './nightly.js';
export { candidate } from './candidate.js';
export { securityWatch } from './watch.js';
export { rebuild } from './rebuild.js';
export { promotion } from './promotion.js';
export { fix } from './fix.js';
export { security } from './security.js';
export { release } from './release.js';
export { rollback } from './rollback.js';
export { stream } from './stream.js';
