/** All workflows: the entry point of the workflow bundle. */
export { nightly, scheduledNightly } from './chains/nightly.js';
export { candidate } from './scheduled/candidate.js';
export { securityWatch } from './scheduled/advisory-watch.js';
export { rebuild } from './chains/rebuild.js';
export { publication } from './chains/publication.js';
export { promotion } from './decisions/promotion.js';
export { fix } from './chains/fix.js';
export { security } from './decisions/security.js';
export { release } from './chains/release.js';
export { rollback } from './chains/rollback.js';
export { stream } from './decisions/stream.js';
