export { freePort } from '../../src/temporal/ports.js';

/** How much slower than a quiet machine a loaded one may be before a wait is given up: waits guard against hanging, not slowness. */
export const patience = 4;

/** Waits until a condition holds; fails, saying what for, when it takes longer than it would on a quiet machine (`seconds`) by far. */
export async function until<T>(
  what: string,
  seconds: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (
    const deadline = Date.now() + seconds * patience * 1000;
    ;
    await new Promise((resolve) => setTimeout(resolve, 100))
  ) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds * patience} s: ${what}`);
  }
}
