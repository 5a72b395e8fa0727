/** A journal with some of its writes in the test's hand; everything else is the real one. */
import type { Journal } from '../../provider-agent/state/journal.ts';

export function withWrites(journal: Journal, own: Partial<Journal>): Journal {
  return new Proxy(journal, {
    get(target, name: keyof Journal) {
      const value = own[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
