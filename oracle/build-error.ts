/** A port cannot be built here; the message says why and what to do. */
export class BuildError extends Error {
  override readonly name: string = 'BuildError';
}
