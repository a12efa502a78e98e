/**
 * State that lives as long as something else: a relocation section (LO12 searches, HI16 queues, stacks, sums) or a
 * module (GOT and PLT). A calculation asks for its own state by the owner; nobody else sees it.
 */
export class StateOf<Owner extends object, T> {
  private readonly make: (owner: Owner) => T;
  private readonly held = new WeakMap<Owner, T>();

  constructor(make: (owner: Owner) => T) {
    this.make = make;
  }

  of(owner: Owner): T {
    let state = this.held.get(owner);
    if (state === undefined) {
      state = this.make(owner);
      this.held.set(owner, state);
    }
    return state;
  }

  /** The state if there is one already. */
  peek(owner: Owner): T | undefined {
    return this.held.get(owner);
  }

  set(owner: Owner, state: T): T {
    this.held.set(owner, state);
    return state;
  }
}
