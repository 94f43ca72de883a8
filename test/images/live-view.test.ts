import assert from 'node:assert/strict';
import { LiveView } from '../../src/images/live-view.js';

it('the live view of a boot shows the last line, and says so where nothing comes', () => {
  const told: (string | undefined)[] = [];
  const view = new LiveView({ tell: (status) => told.push(status) }, 'tcg');
  view.show('', 0);
  for (let second = 1; second < 75; second++) view.show('Loading Linux\r\nLoading initrd ...', second);
  view.show('Loading initrd ...\r\n[ 0.1] Linux version\r\n\r\n', 76);
  assert.deepEqual(told, [
    'TCG: power-on',
    'TCG: Loading initrd ...',
    'TCG: no output for 30 s; last line: Loading initrd ...',
    'TCG: no output for 40 s; last line: Loading initrd ...',
    'TCG: no output for 50 s; last line: Loading initrd ...',
    'TCG: no output for 1 min 00 s; last line: Loading initrd ...',
    'TCG: no output for 1 min 10 s; last line: Loading initrd ...',
    'TCG: [ 0.1] Linux version',
  ]);
});
