type Class = { readonly prototype: object };

/** The one function of Node's `util` that elfy calls, for bundles where it does not exist. */
export function inherits(derived: Class, base: Class): void {
  Object.setPrototypeOf(derived.prototype, base.prototype);
}
