/**
 * Steps that may start now, steps that may be undone now, and steps whose turn it is and that nobody needs any more, apart from those
 * that are held back for a while: going through the former stays quick while ten thousand wait to be tried again.
 */
export class NextSteps<Node> {
  readonly ready = new Set<Node>();
  readonly undoable = new Set<Node>();
  readonly unneeded = new Set<Node>();
  /** And which of the two it goes back to. */
  readonly #held = new Map<Node, Set<Node>>();

  get count(): number {
    return this.ready.size + this.undoable.size + this.unneeded.size + this.#held.size;
  }

  hold(node: Node): void {
    for (const list of [this.ready, this.undoable]) if (list.delete(node)) this.#held.set(node, list);
  }

  /** Nothing where it was removed meanwhile. */
  release(node: Node): void {
    this.#held.get(node)?.add(node);
    this.#held.delete(node);
  }

  remove(node: Node): void {
    for (const list of [this.ready, this.undoable, this.unneeded, this.#held]) list.delete(node);
  }
}
