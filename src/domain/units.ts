/** Sizes and durations as people write them in stream files. */
import { z } from 'zod';

const sizes = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const durations = { s: 1, m: 60, h: 3600, d: 86400 } as const;

/** `4GiB`, `512MiB`: gives bytes. */
export const size = z
  .string()
  .regex(/^[1-9][0-9]*(MiB|GiB|TiB)$/, { error: 'write a size such as `4GiB` or `512MiB`' })
  .transform((text) => parseInt(text, 10) * sizes[text.slice(-3) as keyof typeof sizes]);

/** `90s`, `10m`, `2h`, `28d`: gives seconds. */
export const duration = z
  .string()
  .regex(/^[1-9][0-9]*[smhd]$/, { error: 'write a duration such as `90s`, `10m`, `2h` or `28d`' })
  .transform((text) => parseInt(text, 10) * durations[text.slice(-1) as keyof typeof durations]);

/** `1.4 GiB`: bytes for people. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `1 h 02 min`, `3 min 07 s`, `12 s`: seconds for people. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  if (h > 0) return `${h} h ${two(m)} min`;
  return m > 0 ? `${m} min ${two(s)} s` : `${s} s`;
}
