/**
 * What workflows are started with and told, each with the schema that it is checked by: the only place that registers handlers. Anybody
 * who reaches Temporal can send anything: what does not fit is refused and recorded, and never stops a workflow. What a schema does not
 * know is dropped.
 */
import {
  defineQuery,
  defineSignal,
  defineUpdate,
  log,
  setHandler,
  upsertMemo,
  workflowInfo,
  type QueryDefinition,
  type SignalDefinition,
} from '@temporalio/workflow';
import { ApplicationFailure, type UpdateDefinition } from '@temporalio/common';
import type { z } from 'zod';

/** One schema for each argument. */
type Schemas<Args extends unknown[]> = { readonly [K in keyof Args]: z.ZodType<Args[K]> };
type Checked<Definition, Args extends unknown[]> = Definition & { readonly schemas: Schemas<Args> };

export type Signal<Args extends unknown[] = []> = Checked<SignalDefinition<Args>, Args>;
export type Update<Answer, Args extends unknown[]> = Checked<UpdateDefinition<Answer, Args>, Args>;

export const signal = <Args extends unknown[]>(name: string, ...schemas: Schemas<Args>): Signal<Args> =>
  Object.assign(defineSignal<Args>(name), { schemas });
export const update =
  <Answer>() =>
  <Args extends unknown[]>(name: string, ...schemas: Schemas<Args>): Update<Answer, Args> =>
    Object.assign(defineUpdate<Answer, Args>(name), { schemas });
/** Queries take nothing. */
export const query = <Answer>(name: string): QueryDefinition<Answer> => defineQuery<Answer>(name);

/** A signal has no answer: one that does not fit is refused in the workflow's log and memo. */
export function onSignal<Args extends unknown[]>(
  definition: Signal<Args>,
  handler: (...args: NoInfer<Args>) => void | Promise<void>,
): void {
  setHandler(definition as SignalDefinition<unknown[]>, (...given) => {
    const args = fitting<Args>(definition.name, definition.schemas, given);
    return args instanceof ApplicationFailure ? record(args.message) : handler(...args);
  });
}

/** An update that does not fit fails with InputRefused before the workflow's history has it; so does one that `validator` throws for. */
export function onUpdate<Answer, Args extends unknown[]>(
  definition: Update<Answer, Args>,
  handler: (...args: NoInfer<Args>) => Promise<Answer>,
  validator: (...args: NoInfer<Args>) => void = () => undefined,
): void {
  const checked = (given: unknown[]): Args => {
    const args = fitting<Args>(definition.name, definition.schemas, given);
    if (args instanceof ApplicationFailure) throw args;
    return args;
  };
  setHandler(
    definition as UpdateDefinition<Answer, unknown[]>,
    async (...given: unknown[]) => handler(...checked(given)),
    { validator: (...given: unknown[]) => validator(...checked(given)) },
  );
}

export function onQuery<Answer>(definition: QueryDefinition<Answer>, handler: () => Answer): void {
  setHandler(definition, handler);
}

/** A workflow that fails at once with InputRefused, for good, when what it is started with does not fit. */
export function workflow<Input, Result>(
  name: string,
  schema: z.ZodType<Input>,
  body: (input: Input) => Promise<Result>,
): ((input: Input) => Promise<Result>) & { readonly schema: z.ZodType<Input> } {
  const run = async (input: Input): Promise<Result> => {
    const args = fitting<[Input]>(name, [schema], [input]);
    if (args instanceof ApplicationFailure) throw args;
    return body(args[0]);
  };
  // By this name a parent starts it.
  Object.defineProperty(run, 'name', { value: name });
  return Object.assign(run, { schema });
}

/** The arguments as the schemas have them, or what is wrong. Values are not repeated: they may be anybody's. */
function fitting<Args extends unknown[]>(
  name: string,
  schemas: Schemas<Args>,
  given: readonly unknown[],
): Args | ApplicationFailure {
  const args: unknown[] = [];
  for (const [at, schema] of (schemas as readonly z.ZodType[]).entries()) {
    const parsed = schema.safeParse(given[at]);
    if (!parsed.success) {
      const issues = parsed.error.issues
        .slice(0, 5)
        .map(({ path, message }) => `${path.map(String).join('.') || 'input'}: ${message}`);
      return ApplicationFailure.nonRetryable(`${name}: ${issues.join('; ')}`.slice(0, 1000), 'InputRefused');
    }
    args.push(parsed.data);
  }
  return args as Args;
}

/** The first of each run are kept: a flood changes nothing. */
const keptRefusals = 20;

/** Refused signals, oldest first: one line for each. They are in the workflow's memo, which Temporal shows. */
export const refusals = (): readonly string[] => (workflowInfo().memo?.refused ?? []) as readonly string[];

function record(why: string): void {
  log.warn(`refused: ${why}`);
  const known = refusals();
  if (known.length < keptRefusals) upsertMemo({ refused: [...known, `${new Date().toISOString()} ${why}`] });
}
