import type { Stream } from '../domain/stream.js';
import type { Settings } from '../settings.js';
export function printPlan(settings: Settings, stream: Stream, json: boolean): void {
  console.log(settings.state, stream.name, json);
}
