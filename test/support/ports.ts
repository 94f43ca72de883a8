export { freePort } from '../../src/temporal/ports.js';

/** Waits until a condition holds; fails, saying what for, when it takes longer than `seconds`. */
export async function until<T>(
  what: string,
  seconds: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (
    const deadline = Date.now() + seconds * 1000;
    ;
    await new Promise((resolve) => setTimeout(resolve, 100))
  ) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
  }
}
