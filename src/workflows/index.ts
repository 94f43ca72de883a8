/** All workflows: the entry point of the workflow bundle. */
export { nightly } from './nightly.js';
