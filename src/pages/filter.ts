/** The one script of the pages: it narrows the package table. Without it the whole table is there. */
import { createHash } from 'node:crypto';

/** Kept by the browser's own rules: the box is hidden until the script runs, and a reload may bring its text back. */
export const filterScript = `
const box = document.getElementById('filter');
const count = document.getElementById('filter-count');
const rows = [...document.querySelectorAll('#packages tbody tr')].map((row) => [row, row.textContent.toLowerCase()]);
const apply = () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const [row, text] of rows) {
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) shown++;
  }
  count.textContent = words.length > 0 ? shown + ' of ' + rows.length + ' packages' : '';
};
box.addEventListener('input', apply);
box.parentElement.hidden = false;
apply();
`;

/** The script's source for the Content-Security-Policy: this text may run and no other. */
export const filterSource = `'sha256-${createHash('sha256').update(filterScript).digest('base64')}'`;
