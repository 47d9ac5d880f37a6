// Which way a binding works: events to the app (input), calls of the app (output), or both (Dapr: pkg/runtime/processor/binding).
import { property, type Properties } from '../../core/metadata.ts';

export type Direction = 'input' | 'output';

/** The directions its metadata names; undefined where it names none and whatever the component can do is meant. */
function named(properties: Properties): Direction[] | undefined {
  const text = property(properties, 'direction');
  if (text === undefined) return undefined;
  const words = text.split(',').map((word) => word.trim().toLowerCase());
  return (['input', 'output'] as const).filter((direction) => words.includes(direction));
}

export const worksAs = (direction: Direction, properties: Properties): boolean => named(properties)?.includes(direction) ?? true;
/** Said in so many words, so that the app need not be asked. */
export const saysInput = (properties: Properties): boolean => named(properties)?.includes('input') ?? false;
