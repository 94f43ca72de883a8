'use strict';
// mocha's own report, and at its end the line that CI reads: `N passed, N failed[, N skipped]`.
const { reporters } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    // Also at once: a run that is cut short has no end.
    runner.on('fail', (test) => reporters.Base.list([test]));
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      process.once('exit', () =>
        console.log(`${passes} passed, ${failures} failed${pending > 0 ? `, ${pending} skipped` : ''}`),
      );
    });
  }
};
